"""One file a single model: its configuration and how its stages are wired; and what a model is in general."""
