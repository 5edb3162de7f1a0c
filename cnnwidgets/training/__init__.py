"""How did it get there? What a network's units look for, recorded while it trains."""
