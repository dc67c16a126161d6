"""Books behind one port. Knows nothing of the database: it gets documents and a token, it returns ids or raises."""
