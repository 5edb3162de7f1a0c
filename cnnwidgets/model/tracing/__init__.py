"""Compiled graphs, kept under what they were built from."""
