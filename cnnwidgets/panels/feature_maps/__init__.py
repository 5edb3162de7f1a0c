"""The feature maps of a photograph, and what one position of them sees."""
