"""Import plates: all steps in their order, from the laboratory's files to a data folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from moa.errors import UserError
from moa.importing.choose_conditions import choose_conditions
from moa.importing.combine import Item, profiles_of, read_all
from moa.importing.compounds import note_names
from moa.importing.describe import Read, describe, refuse_other_headings
from moa.importing.design import Plates, decide_wells, design
from moa.importing.fit_mapping import fitted
from moa.importing.folder import Imported, check_target, write_folder
from moa.importing.join import decide_join, join_wells
from moa.importing.levels import decide_levels
from moa.importing.mapping import Mapping, read_mapping
from moa.importing.mechanisms import decide_mechanisms, label_wells
from moa.importing.merge_replicates import merge_replicates
from moa.importing.missing import drop_constant, drop_missing, fill_missing
from moa.importing.normalise import normalise, select_features
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.row_names import with_places
from moa.importing.sites import with_one_row_each


@dataclass(frozen=True)
class ReadPlates:
    """Plates that were read and made comparable, and how."""

    plates: Plates
    mapping: Mapping
    options: ImportOptions  # with the settings of the mapping
    mechanisms: pd.DataFrame | None  # the table of mechanisms, all text


def read_plates(
    files: Sequence[Item],
    options: ImportOptions,
    notes: Notes,
    given: Mapping | None = None,
    wanted: frozenset[str] | None = None,
) -> ReadPlates:
    """Read plates of one assay, in files of any known format, with what was done to their wells, and normalise them.

    What was guessed, dropped and set aside is added to ``notes``.

    Args:
        files: of any known format, or AnnData objects.
        options: how they are read.
        notes: of the import.
        given: a mapping of other plates; None: that of ``options``, or none.
        wanted: features of a model that takes the plates; None: they are for training, and all features and tables of
            a mapping must be there.

    Raises:
        UserError: a file or table is damaged, or the options or the mapping do not fit it; one line with place and fix.
    """
    given, options = _with_settings(given, options)
    patterns = tuple(family.pattern for family in given.features) if given else options.features
    read = read_all(files, options.model_copy(update={"features": (*patterns, *(wanted or ()))}), notes)
    _check_layer(read, options, notes, whole=wanted is None)
    if given is None:
        mapping = describe(read, options, notes, wanted or frozenset())
    else:
        mapping = fitted(given, read, options, notes, wanted)
    profiles = profiles_of(read, mapping, options, notes)
    if given is None:
        refuse_other_headings(read, mapping)
    read.files.clear()  # so that the values of before are freed once there are others
    profiles, mapping = with_places(profiles, mapping, notes)
    for number, (name, table) in enumerate(read.tables):
        if number < len(mapping.joins):
            join = mapping.joins[number].model_copy(update={"table": name})
        else:
            join = decide_join(mapping, profiles.wells, table, name, notes)
            mapping = mapping.with_(joins=(*mapping.joins, join))
        earlier = {column for _, each in read.tables[:number] for column in each}
        profiles = replace(profiles, wells=join_wells(profiles.wells, table, join, mapping, notes, earlier))
    profiles = with_one_row_each(profiles, mapping, options, notes)
    mapping = decide_wells(mapping, profiles, options, notes)
    profiles, wells = design(profiles, mapping, notes)
    profiles, wells = drop_missing(profiles, wells, options.most_missing, notes)
    mapping, level = decide_levels(mapping, profiles, wells, options, notes)
    profiles, z_scores = normalise(profiles, wells, level, options, notes)
    profiles = fill_missing(profiles, wells.table["plate"], notes)
    table = None if read.mechanisms is None else read.mechanisms[1]
    return ReadPlates(Plates(profiles, wells, z_scores), mapping, options, table)


def _with_settings(given: Mapping | None, options: ImportOptions) -> tuple[Mapping | None, ImportOptions]:
    """The mapping that is applied, that of the options before ``given``, and the options with its settings.

    A file of settings alone adds them to what was typed, and takes the place of no mapping.
    """
    if options.mapping is not None:
        stated = read_mapping(Path(options.mapping))
        options = options.reading(stated.settings)
        given = given if stated.is_settings else stated
    return given, options if given is None else options.reading(given.settings)


def _check_layer(read: Read, options: ImportOptions, notes: Notes, whole: bool) -> None:
    """Refuse a layer that a file cannot have; of a model's plates, which may come in another format, note it."""
    without = [name for name, content in read.files if not getattr(content, "layers", ())] if options.layer else []
    if without and whole:
        raise UserError(f"--layer {options.layer}: {without[0]} has no layers, only .h5ad files have; leave it out")
    notes.noted(f"layer {options.layer} is not used, since files have none", without)


@dataclass(frozen=True)
class Plan:
    """What an import decides, and what it has to say of the plates."""

    mapping: Mapping
    notes: Notes


def plan_import(files: Sequence[Item], options: ImportOptions | None = None) -> Plan:
    """What an import of plates decides, and what it has to say of them; nothing is written.

    Raises:
        UserError: as ``import_plates``.
    """
    notes = Notes()
    return Plan(_decided(files, options or ImportOptions(), notes).mapping, notes)


def _decided(files: Sequence[Item], options: ImportOptions, notes: Notes) -> ReadPlates:
    """Plates with their whole mapping."""
    read = read_plates(files, options, notes)
    wells, design = read.plates.profiles.wells, read.plates.design
    note_names(read.mapping.compounds, wells, notes)
    mapping = decide_mechanisms(read.mapping, wells, design, read.mechanisms, read.options, notes)
    return replace(read, mapping=mapping)


def import_plates(files: Sequence[Item], out: Path, options: ImportOptions | None = None) -> Imported:
    """Import plates of one assay, in files of any known format or AnnData objects, into a data folder.

    The folder ``out`` must not exist, be empty, or hold an earlier import, which is replaced.

    Raises:
        UserError: a file or table is damaged, or the options do not fit it; one line with place and fix.
    """
    options, notes = options or ImportOptions(), Notes()
    check_target(Path(out))
    read = _decided(files, options, notes)
    plates, mapping, options = read.plates, read.mapping, read.options
    profiles, wells = drop_constant(plates.profiles, notes), plates.design
    if options.select_features:
        profiles = select_features(profiles, notes)
    if options.merge_replicates:
        profiles, wells = merge_replicates(profiles, wells, notes)
    conditions = choose_conditions(profiles, wells, options, notes)
    keep = conditions.complete
    profiles, wells = profiles.take(keep), wells.take(keep)
    labels = label_wells(profiles.wells, wells, mapping, read.mechanisms, options, notes)
    conditions = replace(conditions, table=conditions.table[keep], complete=keep[keep])
    plates = Plates(profiles, wells, plates.z_scores)
    return write_folder(Path(out), files, plates, conditions, labels, mapping, options, notes)
