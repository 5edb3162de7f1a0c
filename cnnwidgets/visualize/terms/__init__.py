"""How is an objective read from a network? One small class for each kind of term, and the user's own function."""
