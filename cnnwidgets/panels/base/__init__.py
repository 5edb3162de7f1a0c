"""What do all panels share? Controls, screen, run state, export and cleanup."""
