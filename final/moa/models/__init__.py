"""One file a single model: its configuration and how its stages are wired, nothing else."""
