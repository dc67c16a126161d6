"""How large it gets: a whole year of many tenants in PostgreSQL, measured. ``python -m tests.scale`` (docs/scale.md)."""
