"""What is trained in a unit: a folder a family of networks."""
