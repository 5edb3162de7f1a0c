"""Pictures that paint themselves side by side."""
