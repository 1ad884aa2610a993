"""The tests, and the benchmarks: ``python -m tests.benchmarks`` from the root of the repository."""
