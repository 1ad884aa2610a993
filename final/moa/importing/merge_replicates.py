"""Merge the replicates of a treatment into one profile by MODZ: weights by their Spearman correlation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.design import Design
from moa.importing.normalise import load_pycytominer
from moa.importing.notes import Notes
from moa.importing.profiles import Profiles
from moa.progress import progress
from moa.words import counted

#: The column that says how many wells a merged profile stands for.
REPLICATES = "Metadata_replicates"


def merge_replicates(profiles: Profiles, design: Design, notes: Notes) -> tuple[Profiles, Design]:
    """Merge treated wells of the same compound, dose, time and cell line; controls stay as they are.

    Raises:
        UserError: pycytominer is not installed, or compounds are unknown.
    """
    if "compound" not in design.fields:
        raise UserError("merge_replicates: the wells' compounds are unknown; name their column with --compound")
    pycytominer = load_pycytominer("replicates are merged")
    treated = ~design.controls
    table = design.table[treated]
    parts = [table["compound"], table["dose"].map("{:g}".format), table["dose_level"], table["time"].map("{:g}".format)]
    if "cell_line" in design.fields:
        parts.append(profiles.wells.loc[table.index, design.fields["cell_line"]])
    keys = pd.concat([part.astype(object).map(str) for part in parts], axis=1).agg("|".join, axis=1)
    names = list(profiles.values.columns)
    rows, sizes = [], []
    values = profiles.values.loc[table.index]
    groups = list(keys.groupby(keys, sort=False).groups.items())
    with progress("merge replicates", len(groups), quiet=len(groups) < 200) as bar:
        for done, (key, members) in enumerate(groups, 1):
            part = values.loc[members]
            if len(part) > 1:
                part = pycytominer.consensus(
                    part.assign(Metadata_key=key), ["Metadata_key"], "modz", names, modz_args={"precision": 10}
                )
            rows.append(part[names].to_numpy(np.float64)[0])
            sizes.append(len(members))
            bar.update(done)
    firsts = [members[0] for _, members in groups]
    kept = list(profiles.values.index[profiles.values.index.isin(firsts) | ~treated])
    merged = pd.DataFrame(rows, index=firsts, columns=names).astype(profiles.values.to_numpy().dtype)
    values = pd.concat([merged, profiles.values[~treated]]).loc[kept]
    wells, table = profiles.wells.loc[kept].copy(), design.table.loc[kept].copy()
    wells[REPLICATES] = pd.Series(sizes, index=firsts).reindex(kept).fillna(1).astype(int).astype(str)
    for members in (members for _, members in groups if len(members) > 1):
        for frame, whole in ((wells, profiles.wells), (table, design.table)):
            part = whole.loc[members]
            varying = [column for column in whole if column != REPLICATES and part[column].nunique(dropna=False) > 1]
            frame.loc[members[0], [column for column in varying if column not in ("dose", "time")]] = np.nan
    table["plate"] = table["plate"].fillna("several")
    notes.noted(
        f"{counted(int(treated.sum()), 'treated well')} merged into {counted(len(groups), 'treatment')} by MODZ, under "
        "the name of its first well; controls are not merged"
    )
    return replace(profiles, values=values, wells=wells), replace(design, table=table)
