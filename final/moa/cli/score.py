"""``moa score``: predictions against the truth, by the field's measures and beside its baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from moa.cli.console import out, plain_table
from moa.cli.expansion import expanded
from moa.cli.measure_tables import HEADINGS, MEANING, cell, measure_table, shown_measures
from moa.cli.options import OwnPlace, complete_models
from moa.words import counted

if TYPE_CHECKING:
    import pandas as pd

    from moa.jobs.score import Scores

app = typer.Typer()


@app.command()
@expanded
def score(
    place: OwnPlace,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Trained models or blends (best-lb, best-cv), or 'all': their OOF.", autocompletion=complete_models
        ),
    ] = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(help="File of predictions, csv or parquet with sig_id; can be repeated."),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="With --predictions: table of 0/1 labels with sig_id.  [default: the training labels]"),
    ] = None,
    wells: Annotated[
        Path | None,
        typer.Option(help="Table with sig_id and plate, compound, dose, treatment.  [default: wells.csv in --data]"),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            help="well, treatment, compound, target, seed, or a column of the wells such as dose or plate; also "
            "treatment,target."
        ),
    ] = "well",
    neighbours: Annotated[
        int | None,
        typer.Option(help="Neighbours of the k-NN baselines.  [default: 1 and 5]", min=1),
    ] = None,
    baselines: Annotated[
        bool, typer.Option(help="Add prevalence, cell count, k-NN, shuffled labels and exchanged profiles.")
    ] = True,
    leaks: Annotated[
        bool,
        typer.Option(
            "--leaks",
            help="Instead, train MODELS again with wells, plates, batches and compounds held out, and show what leaks.",
        ),
    ] = False,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", help="json or csv: print every figure as rows, and nothing else.", metavar="[json|csv]"
        ),
    ] = None,
    retrieval: Annotated[
        bool,
        typer.Option(
            "--retrieval",
            help="Also test whether profiles of a mechanism find each other (copairs; for some thousand treatments).",
        ),
    ] = False,
    out_file: Annotated[Path | None, typer.Option("--out", help="Write the table to this csv or json file.")] = None,
) -> None:
    """Score out-of-fold predictions of trained models, or files of predictions, beside baselines.

    **moa score MODELS** scores treated rows of the training data, **moa score --predictions FILE --truth FILE** a file,
    and **moa score** alone the baselines. Log loss is the mean over targets. A treatment is a compound at a dose; its
    wells, or all wells of a compound, are scored together.

    Baselines see the training rows of a row's fold, or of other compounds where there are no folds: their prevalence,
    their cell counts, and cosine nearest neighbours, of plain and of sphered profiles. Controls: the first prediction
    against the labels of other compounds, mean of 10 draws, and neighbours among profiles that treatments exchanged.
    A sentence says whether each model is better than the best of the simple methods.
    """
    from moa.errors import UserError

    if form not in (None, "json", "csv"):
        raise UserError(f"--format {form}: give json or csv")
    if leaks and (not models or predictions or retrieval):
        raise UserError("moa score --leaks: name one trained model or more, and no files")
    if models and (predictions or truth is not None):
        raise UserError("moa score: name MODELS, or give files with --predictions FILE and --truth FILE, not both")
    if not models and not predictions and not baselines:
        raise UserError("moa score: name MODELS, or give files with --predictions FILE")
    # Not before the options are checked, because these take seconds.
    from moa.data.input_tables import has_table
    from moa.data.schema import TRAIN_FEATURES
    from moa.jobs.score import score
    from moa.jobs.score_inputs import read_files, read_models
    from moa.jobs.score_pooled import retrieve
    from moa.jobs.score_tables import as_json, score_rows, write_scores

    where = place.find()
    case = None
    if leaks:
        from moa.jobs.score_leaks import score_leaks

        found = score_leaks(models or [], where, by, wells)
    elif models:
        case = read_models(models, where.data, where.weights, wells)
    else:
        folder = where.data if truth is None or has_table(where.data, TRAIN_FEATURES) else None
        case = read_files(predictions or [], folder, truth, wells)
    if case is not None:
        found = score(case, by, neighbours, baselines)
    retrieved = retrieve(case) if retrieval and case is not None else None
    files = write_scores(out_file, found, retrieved) if out_file is not None else []
    if form is not None:
        rows = score_rows(found)
        # Not through the console, which breaks lines and marks them up.
        print(as_json(rows) if form == "json" else rows.to_csv(index=False, float_format="%.7g").rstrip("\n"))
        return
    for table in _tables(found):
        out.print(table)
    out.print(MEANING if found.by != "target" else MEANING.split(". ")[0] + ".", highlight=False)
    for each in found.compared:
        out.print(f"[bold]{escape(each.sentence)}[/bold]", highlight=False)
    for leak in found.leaks:
        out.print(f"[bold]{escape(leak.sentence)}[/bold]", highlight=False)
    for note in found.notes:
        out.print(f"[yellow]note: {escape(note)}[/yellow]", highlight=False)
    if retrieved is not None:
        out.print(_retrieval_table(retrieved))
    for path in files:
        out.print(f"wrote {path}", highlight=False)


def _tables(found: Scores) -> list[Table]:
    """One table, or one per model where targets or seeds are listed."""
    table, by = found.table, found.by
    if by == "target":
        models = table.loc[table["kind"] == "model", "prediction"].unique()
        models = models if len(models) else table.loc[table["kind"] == "neighbours", "prediction"].unique()
        return [_target_table(table, model) for model in models]
    names = shown_measures(table)
    title = f"Scores over {counted(int(table['rows'].iloc[0]), found.unit)}"
    if by == "well":
        title += f", {int(table['labelled'].iloc[0]):,} of them with a mechanism"
        return [measure_table(title, "prediction", table.to_dict("records"), names)]
    lines: list[dict[str, object]] = []
    if by == "seed":
        for name, rows in table[table["seed"] != ""].groupby("prediction", sort=False):
            lines += [
                {"prediction": name},
                *(row | {"prediction": f"  seed {row['seed']}"} for row in rows.to_dict("records")),
            ]
        lines += [{"prediction": "baselines"}, *table[table["seed"] == ""].to_dict("records")]
        return [measure_table(title, "prediction", lines, names)]
    for level, rows in table.groupby(by, sort=False):
        count = counted(int(rows["rows"].iloc[0]), found.unit)
        heading = f"{level} held out" if by == "held_out" else f"{by} {level}"
        lines += [{"prediction": f"{heading}: {count}"}, *rows.to_dict("records")]
    what = "what was held out" if by == "held_out" else by
    return [measure_table(f"Scores of {found.unit}s by {what}", "prediction", lines, names)]


def _target_table(table: pd.DataFrame, model: str) -> Table:
    """Measures of every target for one model, and those of the first nearest-neighbour baseline."""
    rows = table[table["prediction"] == model].sort_values("positives", ascending=False, kind="stable")
    beside = table[(table["kind"] == "neighbours") & (table["prediction"] != model)]
    measured = ["log_loss", "roc_auc", "average_precision"]
    columns = [(HEADINGS[name], True) for name in measured]
    if len(beside):
        other = beside[beside["prediction"] == beside["prediction"].iloc[0]].set_index("target")
        columns += [("k-NN\nAUC", True), ("k-NN\nAP", True)]
    shown = plain_table(f"{model}: scores by target", [("target", False), ("positives", True), *columns])
    for _, row in rows.iterrows():
        cells = [f"{row['positives']:,}", *(cell(name, row[name]) for name in measured)]
        if len(beside):
            cells += [cell(name, other.loc[row["target"], name]) for name in measured[1:]]
        shown.add_row(row["target"], *cells)
    return shown


def _retrieval_table(table: pd.DataFrame) -> Table:
    """What each source retrieves, one line per source."""
    shown = plain_table(
        "Retrieval of mechanisms: mean average precision over mechanisms of two compounds or more",
        [("profiles of", False), ("mechanisms", True), ("mAP", True), ("retrieved, p < 0.05", True)],
    )
    for source, rows in table.groupby("source", sort=False):
        mean, count = rows["mean_average_precision"].mean(), int(rows["retrieved"].sum())
        shown.add_row(str(source), f"{len(rows):,}", f"{mean:.3f}", f"{count:,}")
    return shown
