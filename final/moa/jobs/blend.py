"""Mix predictions, and search the weights of a mixture."""

from __future__ import annotations

from pathlib import Path

from moa.blending.blend import apply_blend, load_blend
from moa.blending.catalogue import blend_path, expand_models
from moa.blending.members import Oof
from moa.blending.options import SearchOptions
from moa.blending.result import SearchResult
from moa.blending.submission import write_test_submission
from moa.data.assay import COMPETITION, Assay
from moa.data.assay_files import load_assay
from moa.data.dataset import load_dataset, load_test
from moa.data.input_tables import has_table
from moa.data.schema import TRAIN_DRUG
from moa.data.stored_tables import read_table
from moa.errors import UserError
from moa.models.registry import recipe
from moa.parallel import Streams
from moa.weights.layout import WeightsFolder


def search_weights(
    names: list[str],
    data: Path,
    predictions: Path,
    weights: Path,
    options: SearchOptions | None = None,
    streams: Streams | None = None,
) -> tuple[SearchResult, dict[str, str], list[str]]:
    """Search blend weights on the OOF predictions of models and of members of blends.

    Args:
        names: models, blends or "all", as ``expand_models`` takes them.
        data: folder of the competition files.
        predictions: folder of ``NAME/oof.parquet``; a model that has none there is read from its trained units.
        weights: folder of trained weights, whose manifests say which folds were used; a model that is not there is
            taken to have its published folds.
        options: of the search; None: the defaults.
        streams: what fits the weights, such as ``moa.training.machines.open_executor``; None: this process.

    Returns:
        what was found, the scheme of each member's folds, and the members of blends that have no OOF predictions.

    Raises:
        UserError: a model asked for by its own name has no predictions, or the search refuses them.
    """
    from moa.blending.search import search  # this and open_trained need packages that a blend does without
    from moa.weights.trained import open_trained

    options = options or SearchOptions()
    whole_drugs = has_table(data, TRAIN_DRUG) if options.whole_drugs is None else options.whole_drugs
    tables, absent, trained = {}, [], WeightsFolder(weights)
    members = expand_models(names)
    for name in members:
        path = predictions / name / "oof.parquet"
        if path.exists() or (name in names and not trained.has(name)):
            tables[name] = read_table(path)
        elif trained.has(name):
            tables[name] = open_trained(name, weights).calibrated_oof()
        else:
            absent.append(name)
    if len(tables) < 2:
        raise UserError(
            f"{predictions}: holds OOF predictions of {', '.join(tables) or 'no model was named'}; a blend needs at "
            f"least two, so run `moa predict {' '.join(names)}` first"
        )
    dataset = load_dataset(data, drugs=whole_drugs or options.mixed == "comparable", nonscored=False)
    schemes = {name: _scheme(name, weights, dataset.schema) for name in tables}
    oofs = [Oof(name, table, schemes[name], recipe(name).rows) for name, table in tables.items()]
    found = search(oofs, dataset.scored, dataset.treated, options, groups=dataset.drugs, streams=streams)
    return found, schemes, absent


def _scheme(name: str, weights: Path, schema: Assay) -> str:
    """The cross-validation scheme of a model's OOF, such as "drug-aware-5" or "compound-10"."""
    from moa.weights.trained import open_trained

    model = recipe(name)
    if WeightsFolder(weights).has(name):
        return open_trained(model, weights, whole=False).last.folds.label
    if not schema.of_competition:
        raise UserError(f"{weights}: holds no weights of {name}, so the folds of its OOF predictions are not known")
    return model.stages(model.config, COMPETITION)[-1].folds.label


def blend_submission(
    blend: str, data: Path, predictions: Path, out: Path, path: Path | None = None
) -> tuple[Path, str]:
    """Mix ``test.parquet`` of a blend's members into ``OUT/submission-NAME.csv``, or into the file ``path``.

    Returns:
        the path, and a note where members are missing and the others' weights were scaled up.
    """
    spec = load_blend(blend_path(blend))
    members = [member.model for member in spec.members if member.weight > 0]
    tables = {name: predictions / name / "test.parquet" for name in members}
    present = {name: read_table(path) for name, path in tables.items() if path.exists()}
    if not present:
        raise UserError(
            f"{predictions}: holds no predictions of any member of {spec.name}; run `moa predict {spec.name}` first"
        )
    absent = [name for name in members if name not in present]
    mixed = apply_blend(spec, present, missing="renormalise" if absent else "error")
    path = path or out / f"submission-{spec.name}.csv"
    schema = load_assay(data)
    features, sample, _ = load_test(data, list(mixed.columns), schema)
    write_test_submission(mixed, features, path, sample, schema)
    note = f"{spec.name}: without {', '.join(absent)}; the other members' weights were scaled up to 1" if absent else ""
    return path, note
