"""People: accounts, sign-in, sessions, roles, the throttle, key rotation; accounts of the books live elsewhere."""
