"""How was this picture made? The settings that a saved picture carries, as code and as a rerun."""
