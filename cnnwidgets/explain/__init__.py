"""Why this output? Heatmaps of layers and of pixels, and checks of what they show."""
