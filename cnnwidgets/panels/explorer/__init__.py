"""All panels of a network side by side, with one choice for all of them."""
