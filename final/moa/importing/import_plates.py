"""Import plates: all steps in their order, from the laboratory's files to a data folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from moa.importing.choose_conditions import choose_conditions
from moa.importing.combine import read_files
from moa.importing.design import Plates, design, with_places
from moa.importing.folder import Imported, check_target, write_folder
from moa.importing.join import join_wells
from moa.importing.mechanisms import label_wells
from moa.importing.merge_replicates import merge_replicates
from moa.importing.missing import drop_constant, drop_missing, fill_missing
from moa.importing.normalise import normalise, select_features
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions


def read_plates(files: Sequence[Path], options: ImportOptions, notes: Notes) -> Plates:
    """Read plates of one assay, in files of any known format, with what was done to their wells, and normalise them.

    What was guessed, dropped and set aside is added to ``notes``.

    Raises:
        UserError: a file or table is damaged, or the options do not fit it; one line with place and fix.
    """
    profiles = with_places(read_files(files, options, notes), options, notes)
    for table in options.wells:
        profiles = replace(profiles, wells=join_wells(profiles.wells, table, options, notes))
    profiles, wells = design(profiles, options, notes)
    profiles, wells = drop_missing(profiles, wells, options.most_missing, notes)
    profiles, z_scores = normalise(profiles, wells, options, notes)
    profiles = fill_missing(profiles, wells.table["plate"], notes)
    return Plates(profiles, wells, z_scores)


def import_plates(files: Sequence[Path], out: Path, options: ImportOptions | None = None) -> Imported:
    """Import plates of one assay, in files of any known format, into a data folder.

    The folder ``out`` must not exist, be empty, or hold an earlier import, which is replaced.

    Raises:
        UserError: a file or table is damaged, or the options do not fit it; one line with place and fix.
    """
    options, notes = options or ImportOptions(), Notes()
    check_target(Path(out))
    plates = read_plates(files, options, notes)
    profiles, wells = drop_constant(plates.profiles, notes), plates.design
    if options.select_features:
        profiles = select_features(profiles, notes)
    if options.merge_replicates:
        profiles, wells = merge_replicates(profiles, wells, notes)
    conditions = choose_conditions(profiles, wells, options, notes)
    keep = conditions.complete
    profiles, wells = profiles.take(keep), wells.take(keep)
    labels = label_wells(profiles.wells, wells, options, notes)
    conditions = replace(conditions, table=conditions.table[keep], complete=keep[keep])
    plates = Plates(profiles, wells, plates.z_scores)
    return write_folder(Path(out), files, plates, conditions, labels, options, notes)
