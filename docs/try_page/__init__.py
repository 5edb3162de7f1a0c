"""The page "Try it without installing": the views of the Explorer, computed once by the package, in one HTML file."""
