"""The main jobs as functions, for the command line, the notebooks and the inference scripts alike."""
