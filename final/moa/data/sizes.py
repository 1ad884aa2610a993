"""Settings that depend on the size of the data: where there are fewer rows or columns than they ask for, they shrink.

The published settings are for 21,948 treated rows and 872 columns. A field of a configuration says by a mark in its
type which rule holds for it, and ``shrink`` applies the rules to a whole configuration. The competition's own data are
never touched.

- width of a layer: at most four hidden units a training row, rounded down to a power of two;
- rows of a batch: at least six batches an epoch, rounded down to a power of two, but eight rows;
- moving averages of batch norm: over at most the batches of one epoch;
- components, factors and dimensions of a feature group: at most a quarter of the rows, and never more than the group
  has columns;
- clusters of rows: at most one for ten rows;
- columns to select: at most all;
- a network that reads another's predictions alone: left out unless there are ten compounds for each of its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel

from moa.data.assay import Assay, FeatureGroup

LEAST_BATCH = 8
#: Independent examples that each input of a network needs, where its inputs are another network's predictions alone.
EXAMPLES_AN_INPUT = 10
Config = TypeVar("Config", bound=BaseModel)
Value = TypeVar("Value")
#: Name of the group that the settings published for viabilities hold for.
_CELLS = "cells"


@dataclass(frozen=True)
class Limit:
    """A mark in the type of a field: its number shrinks with the data.

    Attributes:
        most: largest value, from the number of training rows and of feature columns.
        groups: "genes" or "cells" where the number is of a feature group; see ``setting_of``.
    """

    most: Callable[[int, int], int]
    groups: str | None = None


@dataclass(frozen=True)
class Averaging:
    """A mark in the type of a field: the weight of a batch in a moving average rises where an epoch has few batches.

    Attributes:
        batch_size: name of the field with the rows of a batch, in the same part of the configuration.
    """

    batch_size: str


MOMENTUM, GHOST_MOMENTUM = Averaging("batch_size"), Averaging("virtual_batch_size")
WIDTH = Limit(lambda rows, columns: _power_of_two(4 * rows))
BATCH = Limit(lambda rows, columns: max(LEAST_BATCH, _power_of_two(rows // 6)))
SELECTED = Limit(lambda rows, columns: columns)
GENE_COMPONENTS, CELL_COMPONENTS = (Limit(lambda rows, columns: max(1, rows // 4), name) for name in ("genes", "cells"))
GENE_CLUSTERS, CELL_CLUSTERS = (Limit(lambda rows, columns: max(2, rows // 10), name) for name in ("genes", "cells"))


def setting_of(group: FeatureGroup, genes: Value, cells: Value) -> Value:
    """Which of two settings, published for genes and for cells, holds for a feature group.

    That of cells, the competition's viabilities, is for the group "cells"; every other group is taken like genes: many
    columns, of which few components are kept.
    """
    return cells if group.name == _CELLS else genes


def components(group: FeatureGroup, genes: int, cells: int) -> int:
    """Number of components or factors of a group, never more than it has columns; see ``setting_of``."""
    return min(setting_of(group, genes, cells), len(group.columns))


def can_correct(predictions: int, examples: int) -> bool:
    """Whether a network that reads another's predictions alone has enough to learn from.

    Rows of a compound are alike, and where compounds are held out whole, all its rows were predicted by the same units.
    With few compounds such a network learns by heart what was predicted for each of them. Ten examples for each input
    is the usual rule of thumb for a model fitted to so few columns; the competition has 16 compounds for each.

    Args:
        predictions: number of predictions that are read.
        examples: compounds, or rows where compounds are not known.
    """
    return examples >= EXAMPLES_AN_INPUT * predictions


def shrink(config: Config, assay: Assay, rows: int) -> tuple[Config, list[str]]:
    """A configuration that fits the data.

    Args:
        config: the settings as asked for.
        assay: the columns.
        rows: number of training rows that the model uses.

    Returns:
        the configuration, and each change in words, such as "learner.hidden 2048 → 1024".
    """
    changes: list[str] = []
    found = _shrunk(config, assay, rows, "", changes)
    return found, changes


def _shrunk(config: Config, assay: Assay, rows: int, place: str, changes: list[str]) -> Config:
    updates = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            updates[name] = _shrunk(value, assay, rows, f"{place}{name}.", changes)
            continue
        averaging = next((mark for mark in field.metadata if isinstance(mark, Averaging)), None)
        if averaging is not None:
            batch_size = updates.get(averaging.batch_size, getattr(config, averaging.batch_size))
            least = round(1 / -(-rows // batch_size), 4)
            updates[name] = max(value, least)
            if least > value:
                changes.append(f"{place}{name} {value:g} → {least:g}")
        limit = next((mark for mark in field.metadata if isinstance(mark, Limit)), None)
        if limit is None or not value:
            continue
        groups = [group for group in assay.groups if limit.groups in (None, setting_of(group, "genes", "cells"))]
        if not groups:  # a setting of cells where there are none
            continue
        most = limit.most(rows, len(assay.values))
        updates[name] = min(value, most)
        if most < value:
            changes.append(f"{place}{name} {value} → {most}")
        if limit in (GENE_COMPONENTS, CELL_COMPONENTS):
            changes += list(_narrow(groups, updates[name], f"{place}{name}"))
    return config.model_copy(update=updates)


def _narrow(groups: list[FeatureGroup], value: int, name: str) -> Iterator[str]:
    """Groups of fewer columns than components are asked for, in words."""
    for group in groups:
        if len(group.columns) < value:
            yield f"{name} {value} → {len(group.columns)} for {group.name}"


def _power_of_two(number: int) -> int:
    """The largest power of two that is at most ``number``, and at least 1."""
    return 1 << (max(number, 1).bit_length() - 1)
