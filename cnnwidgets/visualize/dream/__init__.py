"""What does it see in this photograph? DeepDream, octave by octave."""
