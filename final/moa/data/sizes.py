"""Settings that depend on the size of the data: where there are fewer rows or columns than they need, they shrink.

The published settings are for 21,948 treated rows and 872 columns, and hold for the competition's data as they are. A
mark in the type of a configuration's field says which rule it follows; ``shrink`` applies the rules to a configuration.

- width of a layer: at most four hidden units per training row, rounded down to a power of two;
- rows of a batch: so few that an epoch has six batches, rounded down to a power of two, but at least eight;
- moving averages of batch norm: over at most the batches of one epoch;
- components, factors and dimensions of a feature group: at most a quarter of the rows, and never more than the group
  has columns;
- clusters of rows: at most one for ten rows;
- columns to select: at most all;
- a network that reads only another's predictions: left out unless there are ten compounds for each of its inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from moa.data.assay import Assay, FeatureGroup

LEAST_BATCH = 8
#: Independent examples that each input of a network needs, where its inputs are only another network's predictions.
EXAMPLES_PER_INPUT = 10
Config = TypeVar("Config", bound=BaseModel)
Value = TypeVar("Value")


@dataclass(frozen=True)
class Limit:
    """A mark in the type of a field: its number shrinks with the data."""

    most: Callable[[int, int], int]  # largest value, from the number of training rows and of feature columns
    groups: str | None = None  # "genes" or "cells" where the number belongs to a feature group; see ``setting_of``


@dataclass(frozen=True)
class Averaging:
    """A mark in the type of a field: the weight of a batch in a moving average rises where an epoch has few batches."""

    batch_size: str  # name of the field with the rows of a batch, in the same part of the configuration


MOMENTUM, GHOST_MOMENTUM = Averaging("batch_size"), Averaging("virtual_batch_size")
WIDTH = Limit(lambda rows, columns: _power_of_two(4 * rows))
BATCH = Limit(lambda rows, columns: max(LEAST_BATCH, _power_of_two(rows // 6)))
SELECTED = Limit(lambda rows, columns: columns)
GENE_COMPONENTS, CELL_COMPONENTS = (Limit(lambda rows, columns: max(1, rows // 4), name) for name in ("genes", "cells"))
GENE_CLUSTERS, CELL_CLUSTERS = (Limit(lambda rows, columns: max(2, rows // 10), name) for name in ("genes", "cells"))


def setting_of(group: FeatureGroup, genes: Value, cells: Value) -> Value:
    """Which of two settings, published for genes and for cells, holds for a feature group.

    That of cells, the competition's viabilities, is for the group "cells"; every other group is treated like genes: it
    has many columns, of which few components are kept.
    """
    return cells if group.name == "cells" else genes


def components(group: FeatureGroup, genes: int, cells: int) -> int:
    """Number of components or factors of a group, never more than it has columns; see ``setting_of``."""
    return min(setting_of(group, genes, cells), len(group.columns))


def can_correct(predictions: int, examples: int) -> bool:
    """Whether a network that reads only another's predictions has enough to learn from.

    Rows of a compound are alike, and where compounds are held out whole, all its rows were predicted by the same units.
    With few compounds such a network memorises what was predicted for each of them. Ten examples for each input is the
    usual rule of thumb for a model of so few columns; the competition has 16 compounds for each. An example is a
    compound, or a row where compounds are not known.
    """
    return examples >= EXAMPLES_PER_INPUT * predictions


def shrink(config: Config, assay: Assay, rows: int) -> tuple[Config, list[str]]:
    """The settings of ``config`` for so many training ``rows`` and the columns of ``assay``.

    Returns:
        the configuration, and each change in words, such as "learner.hidden 2048 → 1024".
    """
    changes: list[str] = []
    found = _shrunk(config, assay, rows, "", changes)
    return found, changes


def _shrunk(config: Config, assay: Assay, rows: int, place: str, changes: list[str]) -> Config:
    updates: dict[str, Any] = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            updates[name] = _shrunk(value, assay, rows, f"{place}{name}.", changes)
            continue
        for mark in field.metadata:
            if isinstance(mark, Averaging):
                batch_size = updates.get(mark.batch_size, getattr(config, mark.batch_size))
                least = round(1 / -(-rows // batch_size), 4)
                updates[name] = max(value, least)
                if least > value:
                    changes.append(f"{place}{name} {value:g} → {least:g}")
            elif isinstance(mark, Limit) and value:
                groups = [each for each in assay.groups if mark.groups in (None, setting_of(each, "genes", "cells"))]
                if not groups:  # a setting of cells where there are none
                    continue
                most = mark.most(rows, len(assay.values))
                updates[name] = found = min(value, most)
                if most < value:
                    changes.append(f"{place}{name} {value} → {most}")
                if mark in (GENE_COMPONENTS, CELL_COMPONENTS):
                    narrow = [each for each in groups if len(each.columns) < found]
                    changes += [f"{place}{name} {found} → {len(each.columns)} for {each.name}" for each in narrow]
    return config.model_copy(update=updates)


def _power_of_two(number: int) -> int:
    """The largest power of two that is at most ``number``, and at least 1."""
    return 1 << (max(number, 1).bit_length() - 1)
