"""The dashboard: parse, authorise, call ``core``, render."""
