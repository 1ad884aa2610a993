"""``moa models``, ``moa train`` and ``moa predict``: the single models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from moa.cli.console import number_table, out, score_tables
from moa.cli.expansion import expanded
from moa.cli.options import MODELS, Own, OwnPlace, complete_models, completing
from moa.cli.stopping import on_stop
from moa.jobs.options import PlateOptions, TrainOptions
from moa.words import counted

if TYPE_CHECKING:
    from moa.environment import Folders
    from moa.jobs.model_scores import ModelScores
    from moa.models.base import Recipe

app = typer.Typer()


def _kinds() -> Iterator[str]:
    from moa.models.templates import KINDS

    return iter(KINDS)


listing = typer.Typer(invoke_without_command=True)
app.add_typer(listing, name="models")


@listing.callback()
@expanded
def list_models(ctx: typer.Context, _own: Own) -> None:
    """List the single models and the winners' published scores; write a file for a model of your own."""
    from moa.models.registry import any_assay_recipes, recipes
    from moa.models.remarks import footnotes

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
    for note in footnotes(recipes().values()):
        out.print(note, markup=False)
    out.print("For plates of your own, in seconds and calibrated; the first is trained where no model is named:")
    for model in any_assay_recipes().values():
        out.print(f"  [bold]{escape(model.name)}[/bold]  {escape(model.title)}", highlight=False)


@listing.command("new")
def new_model(
    name: Annotated[str, typer.Argument(help="Name of the model, such as my-model.")],
    kind: Annotated[
        str,
        typer.Option(
            help="What the file starts from: logistic, lightgbm or perceptron.", autocompletion=completing(_kinds)
        ),
    ] = "logistic",
    folder: Annotated[Path, typer.Option("--out", help="Folder for the file.")] = Path(),
) -> None:
    """Write a file for a model of your own: features, folds, seeds and a learner, ready to train and to change."""
    from moa.models.templates import write_template

    path = write_template(name, kind, folder)
    out.print(f"wrote {path}; train it with: moa train {name} --recipe {path}", highlight=False, soft_wrap=True)


@app.command()
@expanded
def train(place: OwnPlace, options: TrainOptions, models: Annotated[list[str] | None, MODELS] = None) -> None:
    """Train what is not trained yet; a run that was stopped continues when the same command is run again.

    Without a name, any-assay is trained on plates of your own; the competition's models are named.

    The options of CNN training change how a fold is run, but not what is trained: a run that was started without them
    can be continued with them, and the other way round.
    """
    named = _chosen(models, place.recipe) if models or place.recipe else None  # before a note on the data is printed
    where = place.find()
    recipes = named or [_default(where)]
    for model in recipes:
        model.configure(overlay=options.settings)
    _ = options.runtime, options.selection
    # Not before the names and options are checked, because these take seconds.
    from moa.jobs.train import TrainingIncomplete, train_models

    on_stop(f"finished units are kept in {where.weights}; run the same command again to continue")
    try:
        scores = train_models(recipes, where, options)
    except TrainingIncomplete as error:
        _print_scores(error.scores)
        raise
    _print_scores(scores)


def _print_scores(scores: Sequence[ModelScores]) -> None:
    """Print the tables of scores, and the footnotes of the published ones beside them."""
    from moa.models.remarks import footnotes

    if scores:
        out.print(*score_tables(scores), sep="\n")
    for note in footnotes(each.model for each in scores if each.of_competition):
        out.print(note, markup=False)


def _default(where: Folders) -> Recipe:
    """The model that is trained where none is named; see ``moa.jobs.fitting.default_recipe``."""
    from moa.jobs.fitting import default_recipe

    model = default_recipe(where.data)
    out.print(f"no model was named: training {model.name} ({model.title})", highlight=False)
    return model


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
@expanded
def predict(
    place: OwnPlace,
    options: PlateOptions,
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
    out_dir: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder to write.  [default: predictions in output/PROFILE; with --features, plates]"
        ),
    ] = None,
) -> None:
    """Predict with trained weights.

    **moa predict MODELS** reads the competition's files and writes OOF and test predictions and a submission, in one
    folder per model.

    **moa predict --features my.csv --blend best-lb** predicts new plates: probabilities, the most likely mechanisms of
    each sample, a warning for samples that are far outside the training data, and a page (plate.html) with the plate
    map, the spread between members, their reliability, replicates, and the nearest training compounds. The file may be
    a laboratory's own: GCT, GCTX, profiles or AnnData; its genes are matched to the model's.
    """
    from moa.errors import UserError

    if features is None and (options.on is not None or options.format is not None):
        raise UserError("--on and --format are for plates: moa predict --features FILE")
    _ = options.runtime  # checked before weights and data are looked for
    where = place.find(reads_data=features is None)
    wanted = [*(models or []), *([blend] if blend else [])]
    if features is not None:
        if len(wanted) != 1:
            raise UserError(f"moa predict --features: name one blend or model with --blend, not {len(wanted)}")
        _predict_plates(features, wanted[0], where, out_dir or where.output / "plates", options)
        return
    if blend is not None or not (models or place.recipe):
        raise UserError("moa predict: name MODELS to predict the competition's files, or give --features FILE")
    from moa.jobs.predict import predict_model

    out_dir = out_dir or where.predictions
    on_stop(f"predictions of the models named above are kept in {out_dir}; run the same command again for all")
    for name in (model.name for model in _chosen(models, place.recipe)):
        path = predict_model(name, where.data, where.weights, out_dir, options.runtime, options.raw)
        out.print(f"{name}: wrote {path}")


def _predict_plates(features: Path, model: str, where: Folders, out_dir: Path, options: PlateOptions) -> None:
    from moa.blending.catalogue import plate_blend
    from moa.jobs.plates import predict_plates

    on_stop(f"predicted parts are kept in {out_dir}; run the same command again to continue")
    spec = plate_blend(model)
    found = predict_plates(features, spec, where.weights, out_dir, options)
    page = None
    if found.explained is not None:
        from moa.reporting.plates import write_plate_page

        page = write_plate_page(found, found.explained, where.weights)
    if found.absent:
        out.print(f"[yellow]not trained, so left out: {', '.join(found.absent)}[/yellow]")
    if found.far is None:
        out.print("[yellow]these weights cannot tell how familiar samples are; train again to add that[/yellow]")
    elif found.far:
        are = "is" if found.far == 1 else "are"
        words = f"{counted(found.far, 'sample')} {are} unlike the training data"
        out.print(f"[yellow]{words}: see {found.files[2]}[/yellow]")
    if found.reliability is not None and len(found.reliability.trust.cautions):
        from moa.blending.reliability import CAUTION

        marked = counted(len(found.reliability.trust.cautions), "mechanism")
        out.print(f"column caution: {marked} marked. {CAUTION}", highlight=False)
    written = [*found.files, *([page.name] if page else [])]
    out.print(f"{counted(found.rows, 'sample')}: wrote {', '.join(written)} to {found.folder}")
