"""What trains the units of a model, in which order and where. The loops over epochs are in ``moa.learners``."""
