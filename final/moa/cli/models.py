"""``moa models | train | predict`` and the inference scripts: the single models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.table import Table

from moa.cli.options import (
    DATA,
    MODELS_HELP,
    OUT,
    WEIGHTS,
    DataDir,
    Device,
    Folds,
    Models,
    Out,
    Profile,
    Seeds,
    Weights,
    out,
    score_table,
)

app = typer.Typer()
#: Heading of options in the help.
CNN = "CNN training (no other model takes these)"


@app.command("models")
def list_models() -> None:
    """List the single models and the winners' published figures."""
    from moa.models.registry import recipes

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
    profile: Profile = "kaggle",
    seeds: Seeds = None,
    folds: Folds = None,
    fold: Annotated[Optional[int], typer.Option(help="Train this fold alone (array jobs).", min=0)] = None,  # noqa: UP045
    stage: Annotated[Optional[str], typer.Option(help="Train this stage alone.")] = None,  # noqa: UP045
    devices: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Train each fold on several devices: how many (2), which GPUs (0,1), or auto for all; with --device "
            "cpu, processes. Each takes whole batches, so the batch grows with them.  [default: 1]",
            rich_help_panel=CNN,
        ),
    ] = None,
    strategy: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Lightning's, for several devices: ddp, or auto.  [default: auto]", rich_help_panel=CNN),
    ] = None,
    precision: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="32-true, 16-mixed, bf16-mixed, or auto: bf16 where the GPU has it, else 16, and 32 on the CPU.  "
            "[default: auto]",
            rich_help_panel=CNN,
        ),
    ] = None,
    compile_network: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option("--compile", help="torch.compile the network: minutes at first.", rich_help_panel=CNN),
    ] = None,
    channels_last: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option("--channels-last", help="Channels innermost in memory: may pay on a GPU.", rich_help_panel=CNN),
    ] = None,
    tensorboard: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder for TensorBoard logs, one below it a model, seed and fold.", rich_help_panel=CNN),
    ] = None,
) -> None:
    """Train what is not trained yet; a run that was killed goes on where it stopped.

    The options of CNN training change how a fold is run and not what is trained: weights begun without them are gone on
    with, and the other way round.
    """
    from moa.blending.catalogue import expand_models
    from moa.jobs.train import train_models
    from moa.learners.runtime import Runtime
    from moa.models.registry import recipe
    from moa.training.runner import Selection

    options = {"devices": devices, "strategy": strategy, "precision": precision, "compile": compile_network,
               "channels_last": channels_last, "tensorboard": tensorboard}  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    results = train_models(
        [recipe(name) for name in expand_models(models)],
        data,
        weights,
        profile,
        device,
        Selection(seeds=seeds, folds=folds, fold=fold, stage=stage),
        runtime=Runtime.of(given) if given else None,
    )
    out.print(score_table(results))


@app.command()
def predict(
    models: Annotated[Optional[list[str]], typer.Argument(help=MODELS_HELP)] = None,  # noqa: UP045
    features: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="New plates: a csv like test_features.csv, of any size. Needs the weights folder alone."),
    ] = None,
    blend: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="With --features: best-lb, best-cv, a YAML file, or a model."),
    ] = None,
    data: DataDir = DATA,
    weights: Weights = WEIGHTS,
    out_dir: Out = OUT,
    device: Device = "auto",
    top: Annotated[int, typer.Option(help="With --features: mechanisms to rank a sample.", min=1)] = 10,
    rows_at_a_time: Annotated[
        int, typer.Option(help="With --features: rows in memory at once; fewer need less.", min=1)
    ] = 16_384,
    precision: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="bf16-mixed: perceptrons and CNNs predict faster where the processor has it, to two or three digits.  "
            "[default: as trained]"
        ),
    ] = None,
) -> None:
    """Predict with trained weights.

    **moa predict MODELS** turns the competition's files into OOF and test predictions and a submission, a folder a
    model.

    **moa predict --features my.csv --blend best-lb** predicts new plates: probabilities, the likeliest mechanisms of
    each sample, and a warning where a sample lies far outside the training data.
    """
    from moa.blending.catalogue import expand_models, plate_blend
    from moa.errors import UserError
    from moa.jobs.predict import predict_model

    if features is None:
        if blend is not None or not models:
            raise UserError("moa predict: name MODELS to predict the competition's files, or give --features FILE")
        for name in expand_models(models):
            path = predict_model(name, data, weights, out_dir, device, precision)
            out.print(f"{name}: wrote {path}")
        return
    wanted = [*(models or []), *([blend] if blend else [])]
    if len(wanted) != 1:
        raise UserError(f"moa predict --features: name one blend or model with --blend, not {len(wanted)}")
    from moa.jobs.plates import predict_plates

    found = predict_plates(features, plate_blend(wanted[0]), weights, out_dir, device, top, rows_at_a_time, precision)
    if found.absent:
        out.print(f"[yellow]not trained, and left out: {', '.join(found.absent)}[/yellow]")
    if found.far is None:
        out.print("[yellow]these weights do not tell how familiar samples are; train again to learn it[/yellow]")
    elif found.far:
        out.print(f"[yellow]{found.far:,} samples lie far outside the training data: see samples.csv[/yellow]")
    out.print(f"{found.rows:,} samples: wrote probabilities.csv, ranked.csv and samples.csv to {found.folder}")


def inference_app(name: str) -> None:
    """The command line of one model's inference script: ``--data DIR --weights DIR --out DIR [--device D]``."""
    from moa.cli import run
    from moa.jobs.predict import predict_model
    from moa.models.registry import recipe

    def infer(data: DataDir = DATA, weights: Weights = WEIGHTS, out_dir: Out = OUT, device: Device = "auto") -> None:
        out.print(f"wrote {predict_model(name, data, weights, out_dir, device)}")

    infer.__doc__ = f"Predict with {recipe(name).title}: OOF, test predictions and submission.csv from trained weights."
    script = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    script.command()(infer)
    run(script)
