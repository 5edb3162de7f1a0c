"""What does it look for? Pictures made by gradient ascent."""
