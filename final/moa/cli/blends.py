"""``moa blend``: blend the predictions of models, and search for the weights of a blend."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from moa.cli.console import group, number_table, out
from moa.cli.options import Blends, DataDir, Models, On, OwnModels, Predictions, Profile, Weights, folders
from moa.cli.stopping import on_stop

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

    where = folders(profile, data)
    for blend in blends:
        path, note = blend_submission(blend, where.data, predictions or where.predictions, out_dir or where.output)
        if note:
            out.print(f"[yellow]{note}[/yellow]")
        out.print(f"{blend}: wrote {path}")


@app.command("search")
def blend_search(
    models: Models,
    data: DataDir = None,
    predictions: Predictions = None,
    weights: Weights = None,
    profile: Profile = None,
    recipe: OwnModels = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="slsqp, tpe or per-target; can be repeated. The weights of the first one are written.  "
            "[default: slsqp]"
        ),
    ] = None,
    free: Annotated[bool, typer.Option(help="Leave each weight free in [0, 1]; they need not sum to 1.")] = False,
    trials: Annotated[int, typer.Option(help="Trials of TPE; the winners used 3,000 to 5,000.", min=1)] = 3000,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation of the search.", min=2)] = 5,
    nested_tpe: Annotated[bool, typer.Option(help="Cross-validate TPE too: all its trials in every fold.")] = False,
    bootstrap: Annotated[int, typer.Option(help="Bootstrap replicates for the interval of the gain.", min=1)] = 2000,
    whole_drugs: Annotated[
        bool | None,
        typer.Option(help="Keep drugs whole in folds and bootstrap.  [default: if there is a train_drug.csv]"),
    ] = None,
    mixed: Annotated[
        str,
        typer.Option(
            help="What to do if some models use row-wise and some drug-aware folds: refuse, comparable (search on the "
            "rows for which both ask the same question) or allow."
        ),
    ] = "refuse",
    seed: Annotated[int, typer.Option(help="Seed of folds, TPE and bootstrap.")] = 0,
    on: On = None,
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="Blend YAML to write, for `moa blend apply FILE`; the file's name names the blend."),
    ] = None,
) -> None:
    """Search blend weights on out-of-fold predictions, and estimate how much of the gain is real."""
    from moa.blending.blend import save_blend
    from moa.blending.options import SearchOptions
    from moa.blending.result import check_writable
    from moa.files import ensure_writable
    from moa.jobs.blend import search_weights
    from moa.training.machines import open_executor

    methods = method or ["slsqp"]
    if out_file:  # check before spending the time
        check_writable(methods[0], not free)
        ensure_writable(out_file.parent)
    options = SearchOptions(
        methods=methods,
        simplex=not free,
        tpe_trials=trials,
        folds=folds,
        nested_tpe=nested_tpe,
        bootstrap=bootstrap,
        mixed=mixed,
        seed=seed,
    )
    where = folders(profile, data)
    predictions, weights = predictions or where.predictions, weights or where.weights
    on_stop("nothing was written; run the same command again")
    with nullcontext() if on is None else open_executor(on, "cpu") as streams:
        found, schemes, absent = search_weights(models, where.data, predictions, weights, whole_drugs, options, streams)
    if absent:
        out.print(f"[yellow]without {', '.join(absent)}: no OOF predictions[/yellow]")
    for table in _search_tables(found, schemes):
        out.print(table)
    out.print(
        "optimistic: weights fitted and scored on the same rows; nested: each row scored with weights fitted without "
        f"it; gain: log loss of {found.best_single}, the best single model, minus nested, with its 95 % bootstrap "
        "interval"
    )
    if out_file:
        name = re.sub("[^a-z0-9]+", "-", out_file.stem.lower()).strip("-") or "searched"
        save_blend(found.spec(name, f"Searched by {found.method}"), out_file)
        out.print(f"wrote {out_file}; apply it with: moa blend apply {out_file}")


def _search_tables(found: SearchResult, schemes: dict[str, str]) -> list[Table]:
    """Members, scores and weights of a search as tables to print."""
    from moa.blending.options import BASELINES

    members = number_table(f"Members, OOF log loss over {found.n_rows:,} treated rows", "model", "folds", "log loss")
    for model, loss in found.singles.items():
        members.add_row(model, schemes[model], f"{loss:.6f}")
    scores = number_table("Searches", "", "optimistic", "nested", "gain, 1e-6", "95 % interval", "seconds")
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
