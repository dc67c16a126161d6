"""Storage: engine, sessions, types, models and migrations, on SQLite and PostgreSQL alike."""
