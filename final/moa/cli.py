"""The command line: ``moa data | train | predict | blend | report``. Every command is a few calls into the package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.table import Table

from moa.errors import UserError

app = typer.Typer(
    help="Mechanisms of Action prediction: the winning Kaggle solution, from data to submission.csv.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
data_app = typer.Typer(help="Get, make and check the competition files.", no_args_is_help=True)
blend_app = typer.Typer(help="Mix the models' predictions into a submission.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(blend_app, name="blend")
out = Console()

DataDir = Annotated[Path, typer.Option("--data", help="Folder of the competition files.", show_default=True)]
Weights = Annotated[Path, typer.Option("--weights", help="Folder of trained weights.", show_default=True)]
Out = Annotated[Path, typer.Option("--out", help="Folder for predictions and submissions.", show_default=True)]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.", show_default=True)]
Models = Annotated[list[str], typer.Argument(help="Models by name, a blend by name (best-lb, best-cv), or 'all'.")]

DATA, WEIGHTS, OUT = Path("data"), Path("output/weights"), Path("output/predictions")


# -- data -------------------------------------------------------------------------------------------------------------


@data_app.command("check")
def data_check(folder: Annotated[Path, typer.Argument(help="Folder of the competition files.")] = DATA) -> None:
    """Read the files, hold them against the schema, and list every problem found."""
    from moa.data import load_dataset, summary
    from moa.schema import TRAIN_DRUG, TRAIN_NONSCORED

    dataset = load_dataset(folder, drugs=(folder / TRAIN_DRUG).exists(), nonscored=(folder / TRAIN_NONSCORED).exists())
    table = Table(title=f"{folder}: all files are as they should be", show_header=False)
    for name, value in summary(dataset):
        table.add_row(name, value)
    out.print(table)


@data_app.command("synthesize")
def data_synthesize(
    folder: Annotated[Path, typer.Argument(help="Folder to write.")],
    rows: Annotated[int, typer.Option(help="Training rows.")] = 23_814,
    test_rows: Annotated[int, typer.Option(help="Test rows.")] = 3_982,
    seed: Annotated[int, typer.Option(help="Another seed, another data set.")] = 0,
) -> None:
    """Make a synthetic data set of the competition's exact schema, with a signal that can be learned."""
    from moa.synthetic import synthesize

    with out.status(f"writing {rows:,} + {test_rows:,} synthetic rows to {folder}"):
        synthesize(folder, rows=rows, test_rows=test_rows, seed=seed)
    out.print(f"{folder}: synthetic data, {rows:,} training and {test_rows:,} test rows")


@data_app.command("download")
def data_download(folder: Annotated[Path, typer.Argument(help="Folder for the files.")] = DATA) -> None:
    """Download the real competition files with the kaggle client and your token."""
    from moa.download import download

    download(folder)
    out.print(f"{folder}: competition files are there; now run: moa data check {folder}")


# -- models -----------------------------------------------------------------------------------------------------------


@app.command("models")
def list_models() -> None:
    """List the single models and the winners' published figures."""
    from moa.recipe import recipes

    table = Table(title="Single models, with the winners' published log losses")
    for column in ("name", "model", "CV", "public LB", "private LB"):
        table.add_column(column)
    for model in recipes().values():
        figures = model.published
        cv = f"{figures.cv:.5f}" + (" *" if figures.cv_rows == "treated" else "")
        table.add_row(model.name, model.title, cv, f"{figures.public_lb:.5f}", f"{figures.private_lb:.5f}")
    out.print(table)
    out.print("* scored on treated rows only")


@app.command()
def train(
    models: Models,
    data: DataDir = DATA,
    weights: Weights = WEIGHTS,
    device: Device = "auto",
    profile: Annotated[
        str, typer.Option(help="kaggle: published settings; demo: minutes on two CPU cores.")
    ] = "kaggle",
    seeds: Annotated[Optional[int], typer.Option(help="Train the first so many seeds.", min=1)] = None,  # noqa: UP045
    folds: Annotated[Optional[int], typer.Option(help="Train the first so many folds.", min=1)] = None,  # noqa: UP045
    fold: Annotated[Optional[int], typer.Option(help="Train this fold alone (array jobs).", min=0)] = None,  # noqa: UP045
    stage: Annotated[Optional[str], typer.Option(help="Train this stage alone.")] = None,  # noqa: UP045
) -> None:
    """Train what is not trained yet; a run that was killed goes on where it stopped."""
    from moa.recipe import recipe
    from moa.runner import Selection
    from moa.workflow import expand_models, train_models

    selection = Selection(seeds=seeds, folds=folds, fold=fold, stage=stage)
    results = train_models([recipe(name) for name in expand_models(models)], data, weights, profile, device, selection)
    out.print(_score_table(results))


@app.command()
def predict(
    models: Models,
    data: DataDir = DATA,
    weights: Weights = WEIGHTS,
    out_dir: Out = OUT,
    device: Device = "auto",
) -> None:
    """Turn trained weights into OOF and test predictions and a submission, a folder a model."""
    from moa.workflow import expand_models, predict_model

    for name in expand_models(models):
        path = predict_model(name, data, weights, out_dir, device)
        out.print(f"{name}: wrote {path}")


@blend_app.command("apply")
def blend_apply(
    blends: Annotated[list[str], typer.Argument(help="best-lb, best-cv, or the path of a YAML file.")],
    data: DataDir = DATA,
    predictions: Annotated[Path, typer.Option(help="Folder written by `moa predict`.")] = OUT,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the submission.")] = Path("output"),
) -> None:
    """Mix predictions by a blend's weights into a checked submission."""
    from moa.workflow import blend_submission

    for blend in blends:
        path, note = blend_submission(blend, data, predictions, out_dir)
        if note:
            out.print(f"[yellow]{note}[/yellow]")
        out.print(f"{blend}: wrote {path}")


@app.command()
def report(
    data: DataDir = DATA,
    weights: Weights = WEIGHTS,
    predictions: Annotated[Path, typer.Option(help="Folder written by `moa predict`.")] = OUT,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the report.")] = Path("output"),
) -> None:
    """Write report.html: scores beside the published ones, learning curves, correlations."""
    from moa.report import write_report

    out.print(f"wrote {write_report(data, weights, predictions, out_dir)}")


def _score_table(scores: list[dict[str, str]]) -> Table:
    table = Table(title="OOF log loss")
    for column in scores[0]:
        table.add_column(column)
    for row in scores:
        table.add_row(*row.values())
    return table


def inference_app(name: str) -> None:
    """The command line of one model's inference script: ``--data DIR --weights DIR --out DIR [--device D]``."""
    from moa.recipe import recipe
    from moa.workflow import predict_model

    def infer(data: DataDir = DATA, weights: Weights = WEIGHTS, out_dir: Out = OUT, device: Device = "auto") -> None:
        out.print(f"wrote {predict_model(name, data, weights, out_dir, device)}")

    infer.__doc__ = f"Predict with {recipe(name).title}: OOF, test predictions and submission.csv from trained weights."
    script = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    script.command()(infer)
    run(script)


def run(command: typer.Typer) -> None:
    """Run a command line: mistakes of the user are told in a line, without a traceback."""
    try:
        command()
    except UserError as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped; finished units are kept, run the same command to go on")
        sys.exit(130)


def main() -> None:
    """Entry point of ``moa``."""
    run(app)


if __name__ == "__main__":
    main()
