"""Pictures of folds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from moa.plots.charts import INK, SERIES, panels

#: Rows that are drawn of one drug at most.
_MOST = 24
#: Those of other charts, and more: neighbouring folds must differ.
_COLOURS = (*SERIES, "#d3a518", "#4f4f4f")


def folds_of_drugs(folds: Mapping[str, pd.Series], drugs: pd.Series, number: int = 14) -> Figure:
    """The rows of a few drugs as squares, coloured by fold: one panel for each way to split, one line for each drug.

    Args:
        folds: fold of each row by the name of the split, indexed by sig_id.
        drugs: drug of each row, likewise.
        number: of drugs: those with the most rows, and others of usual size.
    """
    sizes = drugs.value_counts()
    usual = sizes[(sizes > 1) & (sizes <= sizes.median() + 1)]
    chosen = [*sizes.index[: number // 4], *usual.index[: number - number // 4]]
    figure, row = panels(len(folds), 3.4, 0.2 * len(chosen) + 0.9)
    count = int(max(split.max() for split in folds.values())) + 1
    colours = ListedColormap([_COLOURS[place % len(_COLOURS)] for place in range(count)])
    longest = min(int(sizes[chosen].max()), _MOST)
    for axes, (name, split) in zip(row, folds.items(), strict=True):
        for line, drug in enumerate(chosen):
            numbers = np.sort(split[drugs.index[drugs == drug]].to_numpy())[:_MOST]
            places = np.full(len(numbers), line)
            axes.scatter(range(len(numbers)), places, c=numbers, cmap=colours, vmin=0, vmax=count, s=38, marker="s")
        axes.set(title=name, xlabel="rows of the drug", xlim=(-1, longest), xticks=[], yticks=[])
        axes.set_ylabel("drugs, those with the most rows first", fontsize=8, color=INK)
        axes.invert_yaxis()
        for side in axes.spines.values():
            side.set_visible(False)
    return figure
