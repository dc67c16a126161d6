"""Books without a provider: a true double-entry ledger in one file, for development, demonstrations and tests."""
