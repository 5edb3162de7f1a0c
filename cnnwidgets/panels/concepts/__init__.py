"""What recurs in my own pictures? The panel for concepts."""
