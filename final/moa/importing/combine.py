"""Read several files as one: all their wells, with the features that all files have, by name or by gene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from moa.data.feature_names import ENTREZ_ID, PROBE_ID, SYMBOL
from moa.errors import UserError
from moa.importing.design import FILE
from moa.importing.formats import read_source
from moa.importing.identities import align
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import MISSING_NUMBER, Profiles
from moa.importing.source import Source
from moa.progress import Bar, progress
from moa.words import counted

#: Progress is shown from this number of bytes on; fewer are read within seconds.
_LARGE = 4 << 20


def read_files(files: Sequence[Path], options: ImportOptions, notes: Notes) -> Profiles:
    """Read files of any known formats as one set of profiles.

    Returns:
        all wells; metadata has a column ``FILE`` with the name of each well's file. Missing values are NaN.

    Raises:
        UserError: a file cannot be read, or the files share no features.
    """
    if len({Path(path).resolve() for path in files}) < len(files):
        raise UserError(f"{Path(files[0]).name}: a file is named twice; name each once")
    parts: list[Profiles] = []
    sources = [Source(path) for path in files]
    size = sum(source.path.stat().st_size for source in sources)
    with progress("read files", len(files), quiet=size < _LARGE) as bar:
        while sources:
            source = sources.pop(0)  # so that its bytes are freed once it is read
            source.report = partial(_update, bar, len(parts), source.name)
            source.report(0.0)
            part = read_source(source, options, notes)
            part.wells.insert(0, FILE, source.name)
            parts.append(part)
        bar.update(len(files))
    return _with_missing_values(_combined(parts, notes), notes)


def _update(bar: Bar, done: int, name: str, share: float) -> None:
    bar.update(done + share, name)


def _with_missing_values(profiles: Profiles, notes: Notes) -> Profiles:
    """The profiles with NaN for -666 and for infinite values."""
    values = profiles.values.to_numpy()
    marked, infinite = values == MISSING_NUMBER, np.isinf(values)
    features = profiles.values.columns[infinite.any(axis=0)]
    notes.noted(f"{counted(int(infinite.sum()), 'infinite value')} count as missing, in features", features)
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
    stem = _file(part).split(".")[0]
    names = [f"{stem}:{name}" for name in part.values.index]
    return replace(part, values=part.values.set_axis(names), wells=part.wells.set_axis(names))


def _file(part: Profiles) -> str:
    return str(part.wells[FILE].iloc[0])


def _kind(part: Profiles) -> str:
    if part.kind == "expression" and (part.features[[ENTREZ_ID, SYMBOL, PROBE_ID]] != "").any(axis=None):
        return "genes"
    return "profiles"
