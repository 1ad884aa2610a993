"""``moa models``, ``moa train`` and ``moa predict``: the single models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moa.cli.console import number_table, out, score_table
from moa.cli.options import MODELS, DataDir, Device, Folds, Models, On, Profile, Seeds, Units, Weights, folders
from moa.cli.stopping import on_stop

app = typer.Typer()
#: Heading of a group of options in the help.
CNN = "CNN training (no other model takes these)"


@app.command("models")
def list_models() -> None:
    """List the single models and the winners' published scores."""
    from moa.models.base import corrections
    from moa.models.registry import recipes

    title = "Single models, with the winners' published log losses: CV, public and private leaderboard"
    table = number_table(title, "model", "CV", "public", "private")
    for model in recipes().values():
        figures = model.published
        scores = (figures.cv_text, f"{figures.public_lb:.5f}", f"{figures.private_lb:.5f}")
        table.add_row(f"[bold]{model.name}[/bold]\n{model.title}", *scores)
    out.print(table)
    out.print("A CV over all rows counts controls, predicted 0; it is lower than one over treated rows alone.")
    out.print(corrections(recipes().values()))


@app.command()
def train(
    models: Models,
    data: DataDir = None,
    weights: Weights = None,
    device: Device = "auto",
    profile: Profile = None,
    seeds: Seeds = None,
    folds: Folds = None,
    fold: Annotated[int | None, typer.Option(help="Train only this fold, for array jobs.", min=0)] = None,
    stage: Annotated[str | None, typer.Option(help="Train only this stage.")] = None,
    units: Units = None,
    on: On = None,
    devices: Annotated[
        str | None,
        typer.Option(
            help="Train each fold on several devices: their number (2), numbers of GPUs (0,1), or auto for all; with "
            "--device cpu, processes. The batch size is that of each device, so the total grows.  [default: 1]",
            rich_help_panel=CNN,
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(help="Lightning strategy for several devices: ddp or auto.  [default: auto]", rich_help_panel=CNN),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="32-true, 16-mixed, bf16-mixed, or auto: on a GPU bf16 if supported, else 16; on the CPU 32.  "
            "[default: auto]",
            rich_help_panel=CNN,
        ),
    ] = None,
    compile_network: Annotated[
        bool | None,
        typer.Option("--compile", help="torch.compile the network; takes minutes at first.", rich_help_panel=CNN),
    ] = None,
    channels_last: Annotated[
        bool | None,
        typer.Option("--channels-last", help="Use channels-last memory; may be faster on a GPU.", rich_help_panel=CNN),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(help="Folder for TensorBoard logs; one subfolder per model, seed and fold.", rich_help_panel=CNN),
    ] = None,
) -> None:
    """Train what is not trained yet; a run that was stopped continues when the same command is run again.

    The options of CNN training change how a fold is run, but not what is trained: a run that was started without them
    can be continued with them, and the other way round.
    """
    from moa.blending.catalogue import expand_models
    from moa.learners.runtime import Runtime
    from moa.models.base import corrections
    from moa.models.registry import recipe

    recipes = [recipe(name) for name in expand_models(models)]
    runtime = Runtime.of(
        device if on is None or device == "cpu" else "auto",  # of this machine; a cluster has devices of its own
        devices=devices,
        strategy=strategy,
        precision=precision,
        compile=compile_network,
        channels_last=channels_last,
        tensorboard=tensorboard,
    )
    # Not before the names and options are checked, because these take seconds.
    from moa.jobs.train import TrainingIncomplete, train_models
    from moa.training.machines import open_executor
    from moa.training.selection import Selection

    selection, where = Selection.of(seeds, folds, fold, stage, units), folders(profile, data)
    data, profile, weights = where.data, where.profile, weights or where.weights
    on_stop(f"finished units are kept in {weights}; run the same command again to continue")
    with open_executor(on, device) as executor:
        try:
            results = train_models(recipes, data, weights, profile, selection, runtime=runtime, executor=executor)
        except TrainingIncomplete as error:
            if error.rows:
                out.print(score_table(error.rows))
            raise
    out.print(score_table(results))
    if note := corrections(recipes):
        out.print(note)


@app.command()
def predict(
    models: Annotated[list[str] | None, MODELS] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="New plates: a csv like test_features.csv, of any size. Only the weights folder is needed."),
    ] = None,
    blend: Annotated[
        str | None,
        typer.Option(help="With --features: best-lb, best-cv, a YAML file, or a model."),
    ] = None,
    data: DataDir = None,
    weights: Weights = None,
    out_dir: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder to write.  [default: output/PROFILE/predictions; with --features, .../plates]"
        ),
    ] = None,
    device: Device = "auto",
    top: Annotated[int, typer.Option(help="With --features: number of mechanisms to rank per sample.", min=1)] = 10,
    rows_at_a_time: Annotated[
        int, typer.Option(help="With --features: rows in memory at once; fewer need less memory.", min=1)
    ] = 16_384,
    precision: Annotated[
        str | None,
        typer.Option(
            help="bf16-mixed: perceptrons and CNNs predict faster, with two or three correct digits, where the "
            "processor has AVX512-BF16, AMX or Arm's BF16; elsewhere float32 is used.  [default: as trained]"
        ),
    ] = None,
    profile: Profile = None,
) -> None:
    """Predict with trained weights.

    **moa predict MODELS** reads the competition's files and writes OOF and test predictions and a submission, in one
    folder per model.

    **moa predict --features my.csv --blend best-lb** predicts new plates: probabilities, the most likely mechanisms of
    each sample, and a warning for samples that are far outside the training data.
    """
    from moa.blending.catalogue import expand_models, plate_blend
    from moa.errors import UserError
    from moa.jobs.predict import predict_model
    from moa.learners.runtime import Runtime

    runtime, where = Runtime.of(device, precision=precision), folders(profile, data, features is None)
    weights = weights or where.weights
    if features is None:
        if blend is not None or not models:
            raise UserError("moa predict: name MODELS to predict the competition's files, or give --features FILE")
        out_dir = out_dir or where.predictions
        on_stop(f"predictions of the models named above are kept in {out_dir}; run the same command again for all")
        for name in expand_models(models):
            path = predict_model(name, where.data, weights, out_dir, runtime)
            out.print(f"{name}: wrote {path}")
        return
    out_dir = out_dir or where.output / "plates"
    on_stop(f"nothing was written to {out_dir}; run the same command again")
    wanted = [*(models or []), *([blend] if blend else [])]
    if len(wanted) != 1:
        raise UserError(f"moa predict --features: name one blend or model with --blend, not {len(wanted)}")
    from moa.jobs.plates import predict_plates

    found = predict_plates(features, plate_blend(wanted[0]), weights, out_dir, top, rows_at_a_time, runtime)
    if found.absent:
        out.print(f"[yellow]not trained, so left out: {', '.join(found.absent)}[/yellow]")
    if found.far is None:
        out.print("[yellow]these weights cannot tell how familiar samples are; train again to add that[/yellow]")
    elif found.far:
        out.print(f"[yellow]{found.far:,} samples lie far outside the training data: see samples.csv[/yellow]")
    out.print(f"{found.rows:,} samples: wrote probabilities.csv, ranked.csv and samples.csv to {found.folder}")
