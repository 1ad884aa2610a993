"""The version of the package. It stands apart so that every layer can name it without importing what stands above."""

__version__ = "0.3.0"
