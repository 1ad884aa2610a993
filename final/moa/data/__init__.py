"""Input data: the competition's files and their schema, the folds, synthetic data, and the download."""
