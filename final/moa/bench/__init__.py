"""Times of each part compared with a notebook of 2020: ``moa bench``.

Imports nothing: the notebook's process imports this package, and must not wait for what it does not use.
"""
