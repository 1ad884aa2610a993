"""Predict a laboratory's own file: its wells become rows of the models, which are then predicted like any features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moa.blending.blend import BlendSpec
from moa.data.importers.folder import SUMMARY
from moa.data.importers.for_model import ModelRows, read_for_model
from moa.data.importers.options import ImportOptions
from moa.data.schema import WELLS
from moa.data.table_files import write_table
from moa.errors import UserError
from moa.files import ensure_writable, replacing
from moa.training.layout import WeightsFolder
from moa.training.trained import open_trained

#: Rows of the models, written beside the predictions of a laboratory's file.
ROWS = "features.parquet"


def rows_of_files(
    files: Sequence[Path],
    spec: BlendSpec,
    weights: Path,
    out: Path,
    options: ImportOptions | None = None,
    fill_absent: float | None = None,
) -> tuple[Path, ModelRows]:
    """Read plates as rows of a blend's models, and write them where the predictions go.

    Args:
        files: of any format that ``moa data import`` reads.
        spec: members; the first that is trained tells the assay, and what its features are.
        weights: folder of trained weights.
        out: folder for ``features.parquet`` (the models' rows), ``wells.csv`` (plate, well, compound, dose, …) and
            ``import.txt`` (what was guessed, dropped and set aside).
        options: how the files are read.
        fill_absent: see ``moa.data.importers.for_model.read_for_model``.

    Returns:
        the file of rows, and the rows.

    Raises:
        UserError: no member is trained, or the files lack what the models take.
    """
    trained = next((member.model for member in spec.members if WeightsFolder(weights).has(member.model)), None)
    if trained is None:
        names = ", ".join(member.model for member in spec.members)
        raise UserError(f"{weights}: holds trained weights of no member of {spec.name} ({names})")
    ensure_writable(Path(out))
    model = open_trained(trained, weights, whole=False)
    rows = read_for_model(files, model.schema, model.identities(), options, fill_absent)
    write_table(Path(out) / ROWS, rows.features)
    with replacing(Path(out) / WELLS) as temporary:
        rows.wells.to_csv(temporary)
    with replacing(Path(out) / SUMMARY) as temporary:
        temporary.write_text("\n".join([*rows.notes.lines(10**6), ""]))
    return Path(out) / ROWS, rows
