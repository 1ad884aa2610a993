"""Write the data folder that all other commands take, with a record of the import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moa.data.assay import Assay, Control, FeatureGroup
from moa.data.assay_files import ASSAY, save_assay
from moa.data.feature_names import CELL_LINE, ENTREZ_ID, FEATURE, FEATURES_FILE, GROUP, PROBE_ID, SYMBOL
from moa.data.mapping_file import MAPPING
from moa.data.schema import (
    COMPOUND,
    CONTROL,
    CP_TYPE,
    SIG_ID,
    TEST_FEATURES,
    TRAIN_DRUG,
    TRAIN_FEATURES,
    TRAIN_SCORED,
    WELLS,
)
from moa.data.stored_tables import append_csv
from moa.data.wells import DOSE, TREATMENT, treatments
from moa.data.written_files import RECORD, written_files
from moa.errors import UserError
from moa.files import exchanging_folder, sha256, write_json
from moa.importing.choose_conditions import Conditions, as_level, batches
from moa.importing.combine import Item
from moa.importing.design import Design, Plates
from moa.importing.fields import MARKED
from moa.importing.levels import Z_RANGE
from moa.importing.mapping import Mapping
from moa.importing.mechanisms import Labels
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles
from moa.version import __version__
from moa.words import counted

SUMMARY = "import.txt"
#: Of the record; increase it when keys change their meaning.
_FORMAT = 2
_FILES = frozenset(
    (ASSAY, FEATURES_FILE, WELLS, MAPPING, RECORD, SUMMARY, TRAIN_FEATURES, TEST_FEATURES, TRAIN_SCORED, TRAIN_DRUG)
)
_AT_ONCE = 512


@dataclass(frozen=True)
class Imported:
    """A folder that was written."""

    folder: Path
    counts: list[tuple[str, str]]  # what it holds, as (name, value) for display
    notes: Notes
    mapping: Mapping


def check_target(folder: Path) -> None:
    """Refuse a folder that holds other files than an earlier import, before the work is done.

    Raises:
        UserError: it holds other files, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; --out names a folder")
    others = sorted(path.name for path in folder.iterdir() if path.name not in _FILES) if folder.exists() else []
    written = folder.exists() and any(folder.iterdir())
    if others or (written and not (folder / RECORD).exists()):
        held = f"such as {others[0]}" if others else "of another data set"
        raise UserError(
            f"{folder}: holds files that `moa data import` did not write, {held}; name another folder with --out"
        )


def write_folder(
    folder: Path,
    files: Sequence[Item],
    plates: Plates,
    conditions: Conditions,
    labels: Labels,
    mapping: Mapping,
    options: ImportOptions,
    notes: Notes,
) -> Imported:
    """Write the folder at once: after an error it is as it was before.

    Training rows are controls and wells with a known mechanism; others are rows to predict, unless
    ``options.unannotated`` says otherwise.

    Raises:
        UserError: see ``check_target``.
    """
    check_target(folder)
    profiles, design = plates.profiles, plates.design
    named = labels.table.shape[1] > 0
    train = labels.known | (options.unannotated == "train") if named else np.zeros(len(labels.known), bool)
    test = ~train if options.unannotated == "test" or not named else np.zeros(len(train), bool)
    left_out = int((~train & ~test).sum())
    if left_out:
        notes.dropped(f"{counted(left_out, 'well')} without a known mechanism")
    elif named and test.any():
        notes.aside(f"wells without a known mechanism are rows to predict ({TEST_FEATURES}), not training rows")
    assay = _assay(options.name or folder.resolve().name, plates, conditions, labels, bool(train.any()))
    wells = wells_table(profiles, design, options, notes)
    counts = _counts(profiles, design, train, test, labels)
    with exchanging_folder(folder) as temporary:
        save_assay(temporary, assay)
        _features_table(profiles).to_csv(temporary / FEATURES_FILE, index=False)
        wells[train | test].to_csv(temporary / WELLS)
        (temporary / MAPPING).write_text(mapping.text(), encoding="utf-8")
        front = conditions.table.copy()
        if assay.control:
            front.insert(0, CP_TYPE, design.table[CP_TYPE])
        for name, rows in ((TRAIN_FEATURES, train), (TEST_FEATURES, test)):
            if rows.any():
                _write_features(temporary / name, front, profiles.values, np.flatnonzero(rows))
        if train.any():
            labels.table[train].rename_axis(SIG_ID).to_csv(temporary / TRAIN_SCORED)
            if assay.compound:
                compounds = design.table.loc[train, "compound"].rename("drug_id")
                compounds.rename_axis(SIG_ID).to_csv(temporary / TRAIN_DRUG)
        (temporary / SUMMARY).write_text("\n".join([*(f"{a}: {b}" for a, b in counts), "", *notes.lines(10**6), ""]))
        record = _record(files, profiles, options, counts, notes)
        write_json(temporary / RECORD, record | {"written": written_files(temporary)})
    return Imported(folder, counts, notes, mapping)


def _assay(name: str, plates: Plates, conditions: Conditions, labels: Labels, trains: bool) -> Assay:
    groups = plates.profiles.features[GROUP]
    return Assay(
        name=name,
        groups=tuple(FeatureGroup(name=each, columns=tuple(groups.index[groups == each])) for each in groups.unique()),
        conditions=conditions.conditions,
        control=Control(column=CP_TYPE, values=(CONTROL,)) if plates.design.controls.any() else None,
        targets=tuple(labels.table.columns) or None,
        compound=trains and "compound" in plates.design.fields,
        value_range=(-Z_RANGE, Z_RANGE) if plates.z_scores else None,
    )


def wells_table(profiles: Profiles, design: Design, options: ImportOptions, notes: Notes) -> pd.DataFrame:
    """Everything that is known about the wells: the fields, then all metadata of the files as ``Metadata_`` columns."""
    known = design.table[["plate", "well", "compound"]].copy()
    unit = f" {design.dose_unit}" if design.dose_unit else ""
    known["dose"], known["time"] = design.quantity("dose"), design.quantity("time")
    doses = known["dose"].map(lambda dose: dose if isinstance(dose, str) else f"{dose:g}{unit}", na_action="ignore")
    known[TREATMENT] = treatments(pd.DataFrame({COMPOUND: known["compound"], DOSE: doses.astype(object)}))
    known[CP_TYPE] = design.table[CP_TYPE]
    extra = batches(known["plate"], options.plate_pattern, notes)
    extra = extra.drop(columns=[column for column in extra if column in known])
    names: list[str] = []
    for column in profiles.wells:
        name = column if MARKED.match(column) else f"Metadata_{column}"
        while name in names:
            name += "_2"
        names.append(name)
    return pd.concat([known, extra, profiles.wells.set_axis(names, axis=1)], axis=1).rename_axis(SIG_ID)


def _features_table(profiles: Profiles) -> pd.DataFrame:
    table = profiles.features[[GROUP, ENTREZ_ID, SYMBOL, PROBE_ID, CELL_LINE]]
    table = table[[column for column in table if column == GROUP or (table[column] != "").any()]]
    return table.rename_axis(FEATURE).reset_index()


def _write_features(path: Path, front: pd.DataFrame, values: pd.DataFrame, places: np.ndarray) -> None:
    with path.open("wb") as file:
        for first in range(0, len(places), _AT_ONCE):
            rows = places[first : first + _AT_ONCE]
            # Seven digits are more than any measurement has.
            with np.errstate(over="ignore"):
                part = values.iloc[rows].astype(np.float32)
            if not np.isfinite(part.to_numpy()).all():
                row, column = np.argwhere(~np.isfinite(part.to_numpy()))[0]
                raise UserError(
                    f"feature '{part.columns[column]}', well '{part.index[row]}': {values.iloc[rows[row], column]:g} "
                    "does not fit into 32 bits; leave the feature out, or correct the value"
                )
            table = pd.concat([front.iloc[rows], part], axis=1)
            append_csv(file, table.rename_axis(SIG_ID).reset_index(), header=not first)


def _counts(
    profiles: Profiles, design: Design, train: np.ndarray, test: np.ndarray, labels: Labels
) -> list[tuple[str, str]]:
    groups = profiles.features[GROUP].value_counts(sort=False)
    in_groups = ", ".join(f"{name} {count:,}" for name, count in groups.items())
    treated = ~design.controls
    counts = [
        ("training wells", f"{train.sum():,}, treated {(train & treated).sum():,}"),
        ("wells to predict", f"{test.sum():,}, treated {(test & treated).sum():,}"),
        ("plates", f"{design.table['plate'].nunique():,}"),
        ("features", f"{len(profiles.features):,} ({in_groups})"),
    ]
    if "compound" in design.fields:
        compounds = design.table["compound"]
        counts.append(
            ("compounds", f"{compounds[treated].nunique():,}, for training {compounds[train & treated].nunique():,}")
        )
    doses = design.table.loc[treated, "dose"].dropna().unique()
    if len(doses):
        unit = f" {design.dose_unit}" if design.dose_unit else ""
        counts.append(("doses", f"{len(doses):,}, {as_level(min(doses))} to {as_level(max(doses))}{unit}"))
    if labels.table.shape[1]:
        positive = labels.table.to_numpy()[train & treated]
        negatives = int((positive.sum(axis=1) == 0).sum())
        counts.append(("targets", f"{positive.shape[1]:,}; {negatives:,} training wells have none of them"))
    return counts


def _record(
    files: Sequence[Item], profiles: Profiles, options: ImportOptions, counts: list[tuple[str, str]], notes: Notes
) -> dict[str, Any]:
    tables = [*options.wells, *([options.moa] if options.moa else [])]
    return {
        "format": _FORMAT,
        "moa": __version__,
        "files": [_file(item) for item in (*files, *tables)],
        "kind": profiles.kind,
        "options": options.plain,
        "counts": dict(counts),
        "notes": notes.plain,
    }


def _file(item: Item) -> dict[str, str]:
    if isinstance(item, Path):
        return {"name": item.name, "sha256": sha256(item)}
    return {"name": "an AnnData object"}
