"""A laboratory's own file as a features file of a trained model, for as long as it is predicted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moa.data.csv_files import METADATA
from moa.data.parts import is_features_file
from moa.data.stored_tables import write_table
from moa.errors import UserError
from moa.jobs.options import PlateOptions
from moa.progress import console
from moa.weights.trained import Trained


@contextmanager
def as_features_file(features: Path, trained: Trained, out: Path, options: PlateOptions) -> Iterator[Path]:
    """A file with sig_id and the columns that a model takes.

    A features file of this project is yielded as it is. Any other (GCT, GCTX, profiles, AnnData) is read as for
    `moa data import`, its features are matched to the model's, and what was guessed and left over is printed; the rows
    lie in a hidden file of ``out`` until the block ends, with what is known of the wells as ``Metadata_`` columns.

    Raises:
        UserError: the file cannot be read, or lacks what the model takes.
    """
    if is_features_file(features, trained.schema):
        if options.of_laboratory:
            raise UserError(f"{features.name}: has a sig_id already; options of a laboratory's file do not apply")
        yield features
        return
    from moa.importing.for_model import read_for_model  # h5py and the readers take a second to import

    rows = read_for_model([features], trained.schema, trained.identities(), options.importing, options.fill_missing)
    for note in rows.notes:
        console.print(f"[yellow]{note.line()}[/yellow]", highlight=False, soft_wrap=True)
    wells = rows.wells.drop(columns=[column for column in rows.wells if column in rows.features])
    wells = wells.rename(columns=lambda name: name if name.startswith(METADATA) else f"{METADATA}{name}")
    wells = wells.loc[:, ~wells.columns.duplicated()].astype("string")
    hidden = out / ".plate.parquet"
    write_table(hidden, rows.features.join(wells))
    try:
        yield hidden
    finally:
        hidden.unlink(missing_ok=True)
