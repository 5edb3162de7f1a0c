"""What can be kept? The explanation of one prediction as a folder: pictures, a page that needs nothing else, a list."""
