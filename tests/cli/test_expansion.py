"""A command takes its options from the fields of its option objects."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
import typer
from pydantic import BeforeValidator, Field
from typer.testing import CliRunner

from moa.cli.expansion import expanded
from moa.errors import UserError
from moa.options import Flag, Options


def numbers(value):
    return tuple(map(int, value.split(","))) if isinstance(value, str) else value


class Baking(Options):
    minutes: int = Field(30, ge=1, description="How long.")
    shape: Literal["round", "long"] = Field("round", description="Of the loaf.")
    seeds: Annotated[tuple[str, ...], Flag("--seed", panel="On top", metavar="NAME")] = Field((), description="What.")
    slices: Annotated[tuple[int, ...] | None, BeforeValidator(numbers), Flag(typed=str)] = Field(
        None, description="Widths, with commas."
    )
    steam: bool = Field(True, description="Use steam.")
    recipe: Annotated[int, Flag(hidden=True)] = 7


@dataclass(frozen=True)
class Place:
    oven: Annotated[str | None, typer.Option("--in", help="Which oven.")] = None


@pytest.fixture
def bake():
    seen, app = [], typer.Typer()

    @app.command()
    @expanded
    def bake(place: Place, options: Baking, loaves: Annotated[int, typer.Argument(help="How many.")]) -> None:
        """Bake."""
        seen.append((place, options, loaves))

    return lambda *words: (CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "100"}), seen)


def test_defaults_and_values_reach_the_command(bake):
    _, seen = bake(2)
    assert seen == [(Place(), Baking(), 2)]
    _, seen = bake(2, "--seed", "poppy", "--seed", "rye", "--slices", "3,4", "--no-steam", "--in", "big")
    assert seen[1] == (Place("big"), Baking(seeds=("poppy", "rye"), slices=(3, 4), steam=False), 2)


def test_what_was_not_typed_is_unset(bake):
    """An option that was typed with its default value is distinguished from one that was not typed."""
    _, seen = bake(2, "--minutes", "30", "--steam", "--seed", "rye")
    _, seen = bake(2)
    assert seen[0][1].model_fields_set == {"minutes", "steam", "seeds"} and seen[0][1].minutes == 30
    assert seen[1][1].model_fields_set == set()


def test_the_help_is_that_of_the_fields(bake):
    text = bake("--help")[0].output
    for words in ("How long.", "[default: 30]", "x>=1", "On top", "NAME", "--no-steam", "Which oven.", "How many."):
        assert words in text
    assert "--recipe" not in text and "Bake." in text


def test_mistakes_name_the_option(bake):
    done, seen = bake(2, "--shape", "square")
    assert isinstance(done.exception, UserError) and not seen
    assert str(done.exception) == "--shape square: expected one of round, long"
    assert "Invalid value for '--minutes'" in " ".join(bake("--minutes", 0, 2)[0].output.split())
