"""What is in there? Feature maps, the patches that excite a unit, and what a position sees."""
