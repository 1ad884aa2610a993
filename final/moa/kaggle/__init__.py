"""Running all of it on Kaggle: what is pushed there, and the folders of a notebook's session."""
