"""Measures of predictions: log loss in `losses`; rankings, nearest neighbours and retrieval in modules of their own."""
