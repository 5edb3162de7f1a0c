"""What a photograph makes a layer answer."""
