"""Read the files and tables of an import, and make one set of profiles of several files, by name or by gene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from moa.data.feature_names import ENTREZ_ID, PROBE_ID, SYMBOL
from moa.errors import UserError
from moa.importing.annotated import AnnData, read_annotated
from moa.importing.arrays import with_tables
from moa.importing.describe import Read
from moa.importing.design import FILE
from moa.importing.formats import read_source
from moa.importing.identities import align
from moa.importing.mapping import Mapping
from moa.importing.notes import Notes
from moa.importing.one_hot import with_one_column
from moa.importing.options import ImportOptions
from moa.importing.orientation import turned
from moa.importing.profiles import MISSING_NUMBER, Profiles, WellTable
from moa.importing.source import Source
from moa.importing.text_tables import read_text_table
from moa.importing.well_tables import to_profiles
from moa.progress import Bar, progress
from moa.words import counted

#: What is imported: files, or AnnData objects in memory.
Item = Path | AnnData
#: Progress is shown from this number of bytes on; fewer are read within seconds.
_LARGE = 4 << 20
#: No measurement is larger; squares of larger values overflow in 32 bits, in which models compute.
_MOST = 1e18


def read_all(files: Sequence[Item], options: ImportOptions, notes: Notes) -> Read:
    """Read files of any known formats, plate maps and the table of mechanisms, without deciding what they mean.

    Raises:
        UserError: a file cannot be read.
    """
    paths = [item for item in files if isinstance(item, Path)]
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError(f"{paths[0].name}: a file is named twice; name each once")
    names = names_of(files)
    sources = [Source(item) if isinstance(item, Path) else item for item in files]
    size = sum(path.stat().st_size for path in paths)
    found: list[tuple[str, Profiles | WellTable]] = []
    with progress("read files", len(files), quiet=size < _LARGE) as bar:
        while sources:
            source, name = sources.pop(0), names[len(found)]  # popped, so that its bytes are freed once it is read
            found.append((name, _read_one(source, name, bar, len(found), options, notes)))
        bar.update(len(files))
    tables = [(Path(path).name, read_text_table(Path(path), notes)) for path in options.wells]
    found, tables = with_tables(found, tables, notes)
    return Read(found, tables, None if options.moa is None else read_mechanisms(Path(options.moa), options, notes))


def read_mechanisms(path: Path, options: ImportOptions, notes: Notes) -> tuple[str, pd.DataFrame]:
    """The name of a table of mechanisms, and its columns as text; columns of 0 and 1 are made into one."""
    table = read_text_table(path, notes)
    return path.name, table if options.mechanism else with_one_column(path.name, table, notes)


def _read_one(
    item: Source | AnnData, name: str, bar: Bar, done: int, options: ImportOptions, notes: Notes
) -> Profiles | WellTable:
    if not isinstance(item, Source):
        return turned(name, read_annotated(item, name, options, notes), options, notes)
    item.name = name
    item.report = partial(_update, bar, done, name)
    item.report(0.0)
    try:
        return turned(name, read_source(item, options, notes), options, notes)
    finally:
        item.close()


def _update(bar: Bar, done: int, name: str, share: float) -> None:
    bar.update(done + share, name)


def names_of(files: Sequence[Item]) -> list[str]:
    """A name for each file: its own, with its folders where several files have the same."""
    parts = [
        item.resolve().parts if isinstance(item, Path) else (f"object {number}",)
        for number, item in enumerate(files, 1)
    ]
    names = [each[-1] for each in parts]
    depth = 1
    while len(set(names)) < len(names) and depth < max(map(len, parts)):
        depth += 1
        names = [
            "/".join(each[-depth:]) if names.count(name) > 1 else name for each, name in zip(parts, names, strict=True)
        ]
    return names


def profiles_of(read: Read, mapping: Mapping, options: ImportOptions, notes: Notes) -> Profiles:
    """All files as one set of profiles, by the mapping.

    Returns:
        all wells, with the features that all files have; metadata has a column ``FILE`` with the name of each well's
        file. Missing values are NaN.

    Raises:
        UserError: the files share no features, or a table does not fit the mapping.
    """
    parts = []
    for name, content in read.files:
        if isinstance(content, Profiles):
            kept = [each for each in content.features.index if not _is_set_aside(each, mapping)]
            part = content if len(kept) == len(content.features) else content.only(kept)
        else:
            part = to_profiles(content, mapping, options, notes)
        part = replace(part, wells=part.wells.drop(columns=FILE, errors="ignore"))
        part.wells.insert(0, FILE, name)
        parts.append(part)
    return _with_missing_values(_combined(parts, notes), notes)


def _is_set_aside(feature: str, mapping: Mapping) -> bool:
    column = mapping.columns.get(feature)
    return column is not None and column.role == "bookkeeping"


def _with_missing_values(profiles: Profiles, notes: Notes) -> Profiles:
    """The profiles with NaN for -666, for infinite values and for those that no measurement has."""
    values = profiles.values.to_numpy()
    marked, infinite = values == MISSING_NUMBER, (values > _MOST) | (values < -_MOST)
    features = profiles.values.columns[infinite.any(axis=0)]
    what = counted(int(infinite.sum()), "value")
    notes.noted(f"{what} beyond ±{_MOST:g}, or infinite, count as missing, in features", features)
    if not (marked.any() or infinite.any()):
        return profiles
    return replace(profiles, values=profiles.values.mask(marked | infinite))


def _combined(parts: list[Profiles], notes: Notes) -> Profiles:
    if len(parts) == 1:
        return parts[0]
    first, aligned = parts[0], [parts[0]]
    for part in parts[1:]:
        if part.kind != first.kind:
            raise UserError(
                f"{_file(part)} holds {_kind(part)} and {_file(first)} {_kind(first)}; import each into its own folder"
            )
        if set(part.features.index) == set(first.features.index):
            aligned.append(part.only(list(first.features.index)))
        else:  # files of one assay may name genes by probe, Entrez id or symbol
            aligned.append(align(part, first.features)[0])
    shared = [name for name in first.features.index if all(name in part.features.index for part in aligned)]
    if not shared:
        raise UserError(
            f"{_file(parts[1])} and {_file(first)} share no features (such as '{parts[1].features.index[0]}' and "
            f"'{first.features.index[0]}'); import each into its own folder"
        )
    lost = {_file(part): len(part.features) - len(shared) for part in parts if len(part.features) > len(shared)}
    notes.dropped("features that are not in every file", [f"{count:,} of {name}" for name, count in lost.items()])
    aligned = [_renamed(part.only(shared), aligned) for part in aligned]
    return Profiles(
        pd.concat([part.values for part in aligned]),
        pd.concat([part.wells for part in aligned]),
        aligned[0].features,
        first.kind,
    )


def _renamed(part: Profiles, others: list[Profiles]) -> Profiles:
    """The part; if another file has wells of the same names, with the file's name before the names of its wells."""
    if not any(part.values.index.isin(other.values.index).any() for other in others if _file(other) != _file(part)):
        return part
    stem = _file(part).rpartition(".")[0] or _file(part)
    names = [f"{stem}:{name}" for name in part.values.index]
    return replace(part, values=part.values.set_axis(names), wells=part.wells.set_axis(names))


def _file(part: Profiles) -> str:
    return str(part.wells[FILE].iloc[0])


def _kind(part: Profiles) -> str:
    if part.kind == "expression" and (part.features[[ENTREZ_ID, SYMBOL, PROBE_ID]] != "").any(axis=None):
        return "genes"
    return "profiles"
