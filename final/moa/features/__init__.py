"""Features: transformers in scikit-learn's contract, and the pipeline that applies them to named columns."""
