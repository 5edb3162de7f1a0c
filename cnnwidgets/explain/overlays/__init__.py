"""How is it shown? Heatmaps drawn over photographs, one or several side by side."""
