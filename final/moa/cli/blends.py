"""``moa blend``: blend the predictions of models, and search for the weights of a blend."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from moa.blending.options import BASELINES, SearchOptions
from moa.cli.console import group, number_table, out
from moa.cli.expansion import expanded
from moa.cli.options import Blends, DataDir, Models, PredictedPlace, Predictions, Profile, folders
from moa.cli.stopping import on_stop
from moa.jobs.options import MachineOptions

if TYPE_CHECKING:
    from moa.blending.result import SearchResult

app = group("Blend the predictions of models into a submission; search for the weights of a blend.")


@app.command("apply")
def blend_apply(
    blends: Blends,
    data: DataDir = None,
    predictions: Predictions = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Folder for the submission.  [default: output/PROFILE]")
    ] = None,
    profile: Profile = None,
) -> None:
    """Blend predictions with the weights of a blend into a checked submission."""
    from moa.jobs.blend import blend_submission

    where = folders(profile, data, predictions=predictions, output=out_dir)
    for blend in blends:
        path, note = blend_submission(blend, where.data, where.predictions, where.output)
        if note:
            out.print(f"[yellow]{note}[/yellow]")
        out.print(f"{blend}: wrote {path}")


@app.command("search")
@expanded
def blend_search(
    models: Models,
    place: PredictedPlace,
    options: SearchOptions,
    machines: MachineOptions,
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="Blend YAML to write, for `moa blend apply FILE`; the file's name names the blend."),
    ] = None,
) -> None:
    """Search blend weights on out-of-fold predictions, and estimate how much of the gain is real."""
    from moa.blending.blend import save_blend
    from moa.blending.result import check_writable
    from moa.files import ensure_writable
    from moa.jobs.blend import search_weights
    from moa.training.machines import open_executor

    if out_file:  # check before spending the time
        check_writable(options.methods[0], options.simplex)
        ensure_writable(out_file.parent)
    where = place.find()
    on_stop("nothing was written; run the same command again")
    with nullcontext() if machines.on is None else open_executor(machines.on, "cpu") as streams:
        found, schemes, absent = search_weights(models, where.data, where.predictions, where.weights, options, streams)
    if absent:
        out.print(f"[yellow]without {', '.join(absent)}: no OOF predictions[/yellow]")
    for table in _search_tables(found, schemes):
        out.print(table)
    out.print(
        "optimistic: weights fitted and scored on the same rows; nested: each row scored with weights fitted without "
        f"it; gain: log loss of {found.best_single}, the best single model, minus nested, with its 95 % bootstrap "
        "interval; s: seconds"
    )
    if out_file:
        name = re.sub("[^a-z0-9]+", "-", out_file.stem.lower()).strip("-") or "searched"
        save_blend(found.spec(name, f"Searched by {found.method}"), out_file)
        out.print(f"wrote {out_file}; apply it with: moa blend apply {out_file}", soft_wrap=True)


def _search_tables(found: SearchResult, schemes: dict[str, str]) -> list[Table]:
    """Members, scores and weights of a search as tables to print."""
    members = number_table(f"Members, OOF log loss over {found.n_rows:,} treated rows", "model", "folds", "log loss")
    for model, loss in found.singles.items():
        members.add_row(model, schemes[model], f"{loss:.6f}")
    scores = number_table("Searches", "", "optimistic", "nested", "gain, 1e-6", "95 % interval", "s")
    for method, row in found.table().iterrows():
        out_of_sample = ("–",) * 3
        if found.methods[method].cross_validated:
            gain, low, high = (f"{1e6 * row[column]:+,.0f}" for column in ("gain", "low", "high"))
            out_of_sample = (f"{row['nested']:.6f}", gain, f"{low} to {high}")
        scores.add_row(method, f"{row['treated']:.6f}", *out_of_sample, f"{row['seconds']:.1f}")
    chosen = [method for method in found.methods if method not in BASELINES]
    note = " (per-target: mean over targets)" if "per-target" in chosen else ""
    weights = number_table(f"Weights{note}", "model", *chosen)
    for model, row in found.weight_table()[chosen].iterrows():
        weights.add_row(model, *(f"{weight:.4f}" for weight in row))
    return [members, scores, weights]
