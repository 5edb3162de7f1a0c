"""Many pictures side by side, rendered live."""
