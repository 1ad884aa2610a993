"""Threads of torch in the tests of units run side by side."""

import pytest
import torch


@pytest.fixture
def two_threads():
    """Let torch use two cores inside the test, and check that it still does at the end."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    after = torch.get_num_threads()
    torch.set_num_threads(before)
    assert after == 2
