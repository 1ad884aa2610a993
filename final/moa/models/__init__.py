"""One file per kind of single model: its settings and its stages; and what a model is in general."""
