"""Running on Kaggle: the folders that are pushed there, and the folders of a notebook session."""
