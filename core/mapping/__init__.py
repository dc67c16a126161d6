"""Where each service's income goes: what was decided, what is suggested, and what a decision changes."""
