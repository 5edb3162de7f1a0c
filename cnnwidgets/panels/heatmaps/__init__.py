"""Heatmaps over a photograph, for any class, layer and method."""
