"""How large it gets: the rows of thousands of tenants in PostgreSQL, measured. See docs/scale.md."""
