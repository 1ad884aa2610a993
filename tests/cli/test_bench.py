"""The benchmarks refuse what they do not know."""

import pytest

from moa.errors import UserError
from tests.benchmarks.__main__ import app


def test_the_command_refuses_what_it_does_not_know(tmp_path):
    for wrong, expected in (
        ("--part", "part 'nope' is unknown; choose from: goals"),
        ("--size", "choose full or quick"),
    ):
        with pytest.raises(UserError, match=expected):
            app([wrong, "nope", "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
