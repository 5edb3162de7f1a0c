"""Which numbers does it expect? The range of its inputs, found by looking at what happens to a picture on the way."""
