"""The engine: ties stored facts, the mapping and the books together, exactly once."""
