"""The 2-heads ResNet."""
