"""What a network paints into a photograph."""
