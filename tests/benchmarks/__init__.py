"""Times of each part compared with a notebook of 2020: ``python -m tests.benchmarks``.

Imports nothing: the notebook's process imports this package, and must not wait for what it does not use.
"""
