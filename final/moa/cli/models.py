"""``moa models``, ``moa train`` and ``moa predict``: the single models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from moa.cli.console import number_table, out, score_tables
from moa.cli.options import (
    MODELS,
    DataDir,
    Device,
    Folds,
    Groups,
    HoldOut,
    On,
    OwnModels,
    Parts,
    Profile,
    Seeds,
    Units,
    Weights,
    complete_models,
    folders,
    number_or_each,
)
from moa.cli.stopping import on_stop

if TYPE_CHECKING:
    from moa.models.base import Recipe

app = typer.Typer()


def _kinds(incomplete: str) -> Iterator[str]:
    from moa.models.templates import KINDS

    return (kind for kind in KINDS if kind.startswith(incomplete))


#: Heading of a group of options in the help.
CNN = "CNN training (no other model takes these)"
LABORATORY = "With --features FILE of a laboratory (GCT, GCTX, profiles, AnnData)"


listing = typer.Typer(invoke_without_command=True)
app.add_typer(listing, name="models")


@listing.callback()
def list_models(ctx: typer.Context, recipe: OwnModels = None) -> None:
    """List the single models and the winners' published scores; write a file for a model of your own."""
    from moa.models.base import corrections
    from moa.models.registry import recipes

    if ctx.invoked_subcommand:
        return
    title = "Single models, with the winners' published log losses: CV, public and private leaderboard"
    table = number_table(title, "model", "CV", "public", "private")
    for model in recipes().values():
        known = model.published
        scores = (model.cv_text, *((f"{known.public_lb:.5f}", f"{known.private_lb:.5f}") if known else ("–", "–")))
        table.add_row(f"[bold]{escape(model.name)}[/bold]\n{escape(model.title)}", *scores)
    out.print(table)
    out.print("A CV over all rows counts controls, predicted 0; it is lower than one over treated rows alone.")
    out.print(corrections(recipes().values()))


@listing.command("new")
def new_model(
    name: Annotated[str, typer.Argument(help="Name of the model, such as my-model.")],
    kind: Annotated[
        str, typer.Option(help="What the file starts from: logistic, lightgbm or perceptron.", autocompletion=_kinds)
    ] = "logistic",
    folder: Annotated[Path, typer.Option("--out", help="Folder for the file.")] = Path(),
) -> None:
    """Write a file for a model of your own: features, folds, seeds and a learner, ready to train and to change."""
    from moa.models.templates import write_template

    path = write_template(name, kind, folder)
    out.print(f"wrote {path}; train it with: moa train {name} --recipe {path}", highlight=False, soft_wrap=True)


@app.command()
def train(
    models: Annotated[list[str] | None, MODELS] = None,
    data: DataDir = None,
    weights: Weights = None,
    device: Device = "auto",
    profile: Profile = None,
    recipe: OwnModels = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Change a setting: learner.hidden=1024, or seeds=[0,1]; can be repeated. It is written into the "
            "manifest, and predictions use it.",
            show_default=False,
        ),
    ] = None,
    seeds: Seeds = None,
    folds: Folds = None,
    fold: Annotated[int | None, typer.Option(help="Train only this fold, for array jobs.", min=0)] = None,
    stage: Annotated[str | None, typer.Option(help="Train only this stage.")] = None,
    units: Units = None,
    on: On = None,
    groups: Groups = None,
    hold_out: HoldOut = None,
    parts: Parts = None,
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
    from moa.learners.runtime import Runtime, device_here
    from moa.models.base import corrections
    from moa.models.settings import parse_settings

    recipes, overlay = _chosen(models, recipe), parse_settings(settings or ())
    for model in recipes:
        model.configure(overlay=overlay)
    runtime = Runtime.of(
        device_here(device, on),
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
    from moa.weights.selection import Selection

    selection, where = Selection.of(seeds, folds, fold, stage, units), folders(profile, data)
    data, profile, weights = where.data, where.profile, weights or where.weights
    of_data = {
        "groups": groups.split(",") if groups else None,
        "hold_out": hold_out,
        "parts": number_or_each(parts),
    }
    on_stop(f"finished units are kept in {weights}; run the same command again to continue")
    with open_executor(on, device) as executor:
        try:
            results = train_models(recipes, data, weights, profile, selection, overlay, runtime, executor, **of_data)
        except TrainingIncomplete as error:
            if error.rows:
                out.print(*score_tables(error.rows), sep="\n")
            raise
    out.print(*score_tables(results), sep="\n")
    if "published CV" in results[0] and (note := corrections(recipes)):
        out.print(note)


def _chosen(names: list[str] | None, files: list[Path] | None) -> list[Recipe]:
    """The models that are named; without names those of the files."""
    from moa.blending.catalogue import expand_models
    from moa.errors import UserError
    from moa.models.own import load_recipes
    from moa.models.registry import recipe

    if not names and not files:
        raise UserError("name models or blends, 'all', or a file of your own: --recipe FILE")
    if not names:
        return [each for file in files or () for each in load_recipes(file)]
    return [recipe(name) for name in expand_models(names)]


@app.command()
def predict(
    models: Annotated[list[str] | None, MODELS] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            help="New plates: a csv or parquet file like test_features.csv, of any size. Only the weights folder is "
            "needed."
        ),
    ] = None,
    blend: Annotated[
        str | None,
        typer.Option(
            help="With --features: best-lb, best-cv, a YAML file, or a model.", autocompletion=complete_models
        ),
    ] = None,
    data: DataDir = None,
    weights: Weights = None,
    out_dir: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder to write.  [default: predictions in output/PROFILE; with --features, plates]"
        ),
    ] = None,
    device: Device = "auto",
    top: Annotated[int, typer.Option(help="With --features: number of mechanisms to rank per sample.", min=1)] = 10,
    rows_at_a_time: Annotated[
        int, typer.Option(help="With --features: rows in each part; smaller parts need less memory.", min=1)
    ] = 2048,
    on: On = None,
    fill_missing: Annotated[
        float | None,
        typer.Option(
            help="Value of features that the file lacks, such as 0.  [default: such files are refused]",
            rich_help_panel=LABORATORY,
        ),
    ] = None,
    wells: Annotated[
        list[Path] | None,
        typer.Option(help="Plate map to join, as by `moa data import`; can be repeated.", rich_help_panel=LABORATORY),
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            help="What the file holds, as for `moa data import`.  [default: recognised by its values]",
            rich_help_panel=LABORATORY,
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--format", help="With --features: csv or parquet.  [default: that of the features file]"),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="bf16-mixed: perceptrons and CNNs predict faster, with two or three correct digits, where the "
            "processor has AVX512-BF16, AMX or Arm's BF16; elsewhere float32 is used.  [default: as trained]"
        ),
    ] = None,
    profile: Profile = None,
    recipe: OwnModels = None,
) -> None:
    """Predict with trained weights.

    **moa predict MODELS** reads the competition's files and writes OOF and test predictions and a submission, in one
    folder per model.

    **moa predict --features my.csv --blend best-lb** predicts new plates: probabilities, the most likely mechanisms of
    each sample, a warning for samples that are far outside the training data, and a page (plate.html) with the plate
    map, the spread between members, their reliability, replicates, and the nearest training compounds. The file may be
    a laboratory's own: GCT, GCTX, profiles or AnnData; its genes are matched to the model's.
    """
    from moa.blending.catalogue import plate_blend
    from moa.errors import UserError
    from moa.jobs.predict import predict_model
    from moa.learners.runtime import Runtime, device_here

    if kind not in (None, "csv", "parquet"):
        raise UserError(f"--format {kind}: choose csv or parquet")
    if features is None and (on is not None or kind is not None):
        raise UserError("--on and --format are for plates: moa predict --features FILE")
    runtime = Runtime.of(device_here(device, on), precision=precision)
    where = folders(profile, data, features is None)
    weights = weights or where.weights
    if features is None:
        if blend is not None or not (models or recipe):
            raise UserError("moa predict: name MODELS to predict the competition's files, or give --features FILE")
        out_dir = out_dir or where.predictions
        on_stop(f"predictions of the models named above are kept in {out_dir}; run the same command again for all")
        for name in (model.name for model in _chosen(models, recipe)):
            path = predict_model(name, where.data, weights, out_dir, runtime)
            out.print(f"{name}: wrote {path}")
        return
    out_dir = out_dir or where.output / "plates"
    on_stop(f"predicted parts are kept in {out_dir}; run the same command again to continue")
    wanted = [*(models or []), *([blend] if blend else [])]
    if len(wanted) != 1:
        raise UserError(f"moa predict --features: name one blend or model with --blend, not {len(wanted)}")
    from moa.importing.options import ImportOptions
    from moa.jobs.plates import predict_plates
    from moa.training.machines import open_executor

    spec = plate_blend(wanted[0])
    options = ImportOptions.chosen(wells=tuple(wells or ()), level=level or "auto")
    with nullcontext() if on is None else open_executor(on, device) as executor:
        found = predict_plates(
            features, spec, weights, out_dir, top, rows_at_a_time, runtime, executor, kind, fill_missing, options
        )
    page = None
    if found.explained is not None:
        from moa.reporting.plates import PlateRun, write_plate_page

        about = (features.name, spec, found.rows, found.far, found.absent, found.files, found.explained)
        page = write_plate_page(PlateRun(*about), weights, found.folder)
    if found.absent:
        out.print(f"[yellow]not trained, so left out: {', '.join(found.absent)}[/yellow]")
    if found.far is None:
        out.print("[yellow]these weights cannot tell how familiar samples are; train again to add that[/yellow]")
    elif found.far:
        out.print(f"[yellow]{found.far:,} samples lie far outside the training data: see {found.files[-1]}[/yellow]")
    written = [*found.files, *([page.name] if page else [])]
    out.print(f"{found.rows:,} samples: wrote {', '.join(written)} to {found.folder}")
