"""Units of training: what one is, how they are run, and what is on disk."""
