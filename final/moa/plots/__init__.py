"""Figures: each function returns a matplotlib Figure and changes no global state."""
