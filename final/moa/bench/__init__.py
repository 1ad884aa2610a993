"""How fast each part is against the old way: ``moa bench``. Imports nothing, since the old way's process comes by."""
