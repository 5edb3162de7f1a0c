"""How a network is fooled."""
