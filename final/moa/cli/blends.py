"""``moa blend``: mix the models' predictions, and search the weights of a mixture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.table import Table

from moa.cli.options import DATA, OUT, WEIGHTS, DataDir, Models, Weights, group, out

if TYPE_CHECKING:
    from moa.blending.search import SearchResult

app = group("Mix the models' predictions into a submission; search the weights of a mixture.")

Predictions = Annotated[Path, typer.Option("--predictions", help="Folder written by `moa predict`.")]


@app.command("apply")
def blend_apply(
    blends: Annotated[list[str], typer.Argument(help="best-lb, best-cv, or the path of a YAML file.")],
    data: DataDir = DATA,
    predictions: Predictions = OUT,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the submission.")] = Path("output"),
) -> None:
    """Mix predictions by a blend's weights into a checked submission."""
    from moa.jobs.blend import blend_submission

    for blend in blends:
        path, note = blend_submission(blend, data, predictions, out_dir)
        if note:
            out.print(f"[yellow]{note}[/yellow]")
        out.print(f"{blend}: wrote {path}")


@app.command("search")
def blend_search(
    models: Models,
    data: DataDir = DATA,
    predictions: Predictions = OUT,
    weights: Weights = WEIGHTS,
    method: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="slsqp, tpe or per-target; may be given several times. The first one's weights are "
            "written.  [default: slsqp]"
        ),
    ] = None,
    free: Annotated[bool, typer.Option(help="Weights free in [0, 1], not summing to 1.")] = False,
    trials: Annotated[int, typer.Option(help="Trials of TPE; the winners took 3,000 to 5,000.", min=1)] = 3000,
    folds: Annotated[int, typer.Option(help="Folds of the search's own cross-validation.", min=2)] = 5,
    nested_tpe: Annotated[bool, typer.Option(help="Cross-validate TPE too: its trials again in every fold.")] = False,
    bootstrap: Annotated[int, typer.Option(help="Replicates behind the interval of the gain.", min=1)] = 2000,
    whole_drugs: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option(help="Keep drugs whole in the folds and the bootstrap.  [default: if train_drug.csv is there]"),
    ] = None,
    mixed: Annotated[
        str,
        typer.Option(
            help="Where row-wise and drug-aware folds meet: refuse, comparable (search on the rows that pose both the "
            "same question) or allow."
        ),
    ] = "refuse",
    seed: Annotated[int, typer.Option(help="Of folds, TPE and bootstrap.")] = 0,
    out_file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", help="Blend YAML to write, for `moa blend apply FILE`; the blend takes the file's name."),
    ] = None,
) -> None:
    """Search blend weights on out-of-fold predictions, and say how much of the gain is real."""
    from moa.blending.blend import save_blend
    from moa.blending.search import check_writable
    from moa.jobs.blend import search_weights

    methods = method or ["slsqp"]
    if out_file:  # before the time is spent
        check_writable(methods[0], not free)
    found, schemes, absent = search_weights(
        models,
        data,
        predictions,
        weights,
        whole_drugs,
        methods=methods,
        simplex=not free,
        tpe_trials=trials,
        folds=folds,
        nested_tpe=nested_tpe,
        bootstrap=bootstrap,
        mixed=mixed,
        seed=seed,
    )
    if absent:
        out.print(f"[yellow]without {', '.join(absent)}: no OOF predictions[/yellow]")
    for table in search_tables(found, schemes):
        out.print(table)
    out.print(
        "optimistic: weights found and scored on the same rows; nested: each row scored by weights found without it; "
        f"gain: {found.best_single}, the best single model, minus nested, with its 95 % bootstrap interval"
    )
    if out_file:
        name = re.sub("[^a-z0-9]+", "-", out_file.stem.lower()).strip("-") or "searched"
        save_blend(found.spec(name, f"Searched by {found.method}"), out_file)
        out.print(f"wrote {out_file}; mix with: moa blend apply {out_file}")


def search_tables(found: SearchResult, schemes: dict[str, str]) -> list[Table]:
    """Members, scores and weights of a search as tables to print."""
    from moa.blending.search import BASELINES

    members = _table(f"Members, OOF log loss over {found.n_rows:,} treated rows", "model", "folds", "log loss")
    for model, loss in found.singles.items():
        members.add_row(model, schemes[model], f"{loss:.6f}")
    scores = _table("Searches", "", "optimistic", "nested", "gain, 1e-6", "95 % interval", "seconds")
    for method, row in found.table().iterrows():
        out_of_sample = ("–",) * 3
        if found.methods[method].cross_validated:
            gain, low, high = (f"{1e6 * row[column]:+,.0f}" for column in ("gain", "low", "high"))
            out_of_sample = (f"{row['nested']:.6f}", gain, f"{low} … {high}")
        scores.add_row(method, f"{row['treated']:.6f}", *out_of_sample, f"{row['seconds']:.1f}")
    asked = [method for method in found.methods if method not in BASELINES]
    note = " (per-target: mean over targets)" if "per-target" in asked else ""
    weights = _table(f"Weights{note}", "model", *asked)
    for model, row in found.weight_table()[asked].iterrows():
        weights.add_row(model, *(f"{weight:.4f}" for weight in row))
    return [members, scores, weights]


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for column in others:
        table.add_column(column, justify="right", no_wrap=True)
    return table
