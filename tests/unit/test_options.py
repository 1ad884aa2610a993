"""Options say in one line, and by the name on the command line, what cannot be used."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from moa.errors import UserError
from moa.options import Flag, Options, option_name


class Shown(Options):
    most_missing: float = Field(0.05, ge=0, le=1, description="Share.")
    form: Annotated[Literal["csv", "parquet"] | None, Flag("--format")] = None
    ways: tuple[Literal["a", "b"], ...] = ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"most_missing": 2}, "--most-missing 2: expected at most 1"),
        ({"most_missing": -1}, "--most-missing -1: expected at least 0"),
        ({"most_missing": "much"}, "--most-missing much: .*valid number"),
        ({"form": "xml"}, "^--format xml: expected one of csv, parquet$"),
        ({"ways": ["a", "c"]}, "^--ways c: expected one of a, b$"),
        ({"most_missing": "9" * 5000}, r"^--most-missing 9{97}\.\.\.: "),
        ({"most": 1}, "Shown has no most; it has most_missing, form, ways"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(values, message):
    with pytest.raises(UserError, match=message) as raised:
        Shown(**values)
    assert "\n" not in str(raised.value)


def test_options_are_values():
    assert Shown(ways=["a"]) == Shown(ways=("a",)) != Shown() and Shown(form="csv").form == "csv"
    with pytest.raises(Exception, match="frozen"):
        Shown().form = "csv"
    assert [option_name(name, field) for name, field in Shown.model_fields.items()] == [
        "--most-missing", "--format", "--ways"
    ]  # fmt: skip
