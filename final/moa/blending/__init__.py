"""Mixing the models' predictions: weights, submissions, and the search of weights."""
