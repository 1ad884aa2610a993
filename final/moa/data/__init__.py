"""What comes in: the competition's files and their schema, folds, synthetic data, the download."""
