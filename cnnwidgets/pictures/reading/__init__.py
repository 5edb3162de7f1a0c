"""What is in this file or array? Pictures from anything that people have."""
