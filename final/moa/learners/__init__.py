"""What is trained in a unit: one folder per family of networks."""
