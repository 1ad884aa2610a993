"""Helpers shared by the tests."""

from pathlib import Path

#: The folder ``tests``, and the root of the checkout.
TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
