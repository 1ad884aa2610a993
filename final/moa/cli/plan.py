"""``moa plan``: how long training takes on how many workers."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from moa.cli.console import out, plain_table
from moa.cli.expansion import expanded
from moa.cli.options import MODELS, Own, Weights, complete_profiles, folders

app = typer.Typer()


@app.command()
@expanded
def plan(
    _own: Own,
    models: Annotated[list[str] | None, MODELS] = None,
    workers: Annotated[str, typer.Option(help="Numbers of workers, one CPU core each.")] = "1,8,64",
    gpus: Annotated[str | None, typer.Option(help="Numbers of GPUs, one worker for each.")] = None,
    weights: Weights = None,
    profile: Annotated[
        str, typer.Option(help="Settings: kaggle (published) or demo.", autocompletion=complete_profiles)
    ] = "kaggle",
) -> None:
    """Simulate a run on a cluster: its wall time, how busy the workers are, and what limits it.

    Seconds of units are those of the weights folder, one of each stage is enough; where it has none, those that the
    package records for one core at the published settings (moa/jobs/recorded_seconds.csv says of what). It has recorded
    no unit on a GPU: there it is an estimate, and rather too long.
    """
    from moa.blending.catalogue import expand_models
    from moa.jobs.plan import recorded, simulate
    from moa.models.registry import recipe
    from moa.progress import duration

    where = folders(profile, reads_data=False, weights=weights)
    recipes = [recipe(name) for name in expand_models(models or ["all"])]
    columns = [("workers", True), ("wall time", True), ("busy", True), ("limited by", False)]
    table = plain_table(f"Training of {len(recipes)} models, profile {where.profile}", columns)
    foreign: set[str] = set()
    estimated: set[str] = set()
    for option, asked, device, word in (("--workers", workers, "cpu", ""), ("--gpus", gpus, "cuda", " GPU")):
        counts = _counts(option, asked)
        work = recorded(recipes, where.weights, where.profile, device) if counts else []
        foreign |= {model.name for model in work if not model.measured and not model.estimated}
        estimated |= {model.name for model in work if model.estimated}
        about = "about " if any(model.estimated for model in work) else ""
        for count in counts:
            found = simulate(work, count)
            table.add_row(f"{count}{word}", f"{about}{duration(found.seconds)}", f"{found.busy:.0%}", found.limit)
    out.print(table)
    if foreign:
        out.print(f"with seconds that the package records: {', '.join(sorted(foreign))}", soft_wrap=True)
    if estimated:
        names = ", ".join(sorted(estimated))
        out.print(
            f"about: estimated, because no unit on a GPU is recorded of {names}. A fold of a CNN counts 2.5 hours (the "
            "winners report at most 25 for ten, on an RTX 2080 Ti), other models the seconds of one CPU core, at most "
            "the 9 hours of a Kaggle notebook of 2020.",
            soft_wrap=True,
        )


def _counts(option: str, text: str | None) -> list[int]:
    from moa.errors import UserError
    from moa.words import shown

    if text is None:
        return []
    parts = text.split(",")
    if not all(re.fullmatch(r"\s*[1-9][0-9]{0,8}\s*", part) for part in parts):
        raise UserError(f"{option} {shown(text)}: expected numbers such as 1,8,64")
    return [int(part) for part in parts]
