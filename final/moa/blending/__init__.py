"""Blending: weighted means of model predictions, submissions, and the search for weights."""
