"""Real processes that are killed at random while payments go through them, and a check that nothing came of it.

``python -m tests.kills`` runs it; what it found is in docs/crashes.md.
"""
