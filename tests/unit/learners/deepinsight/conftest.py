"""A CNN that is trained once for all tests of this folder."""

import pytest

from support.tiny_cnn import TINY, unit_in


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """An uninterrupted run of the tiny learner."""
    return unit_in(tmp_path_factory.mktemp("whole")).fit(TINY)
