"""What does it see in this photograph? DeepDream, accentuations and caricatures."""
