"""The DeepInsight CNNs: features drawn as images."""
