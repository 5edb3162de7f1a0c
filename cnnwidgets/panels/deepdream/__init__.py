"""A photograph that dreams, steered while it runs."""
