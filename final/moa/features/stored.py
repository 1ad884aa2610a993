"""Classes whose fitted objects are stored on disk, and the names they are stored under.

A stored fit names its class by module and class name. So that a class can move to another file without making stored
fits unreadable, all these classes belong to the package ``moa.features``, which exports them.
"""

from __future__ import annotations

from typing import TypeVar

PACKAGE = "moa.features"

#: The module that defines each class.
STORED = {
    "Bounded": "moa.features.profiles",
    "ConditionCodes": "moa.features.conditions",
    "Copies": "moa.features.scaling",
    "FactorAnalysis": "moa.features.reductions",
    "Familiarity": "moa.features.familiarity",
    "GaussianRank": "moa.features.ranks",
    "KMeansOneHot": "moa.features.clusters",
    "Log10": "moa.features.conditions",
    "LogScaler": "moa.features.log_scaler",
    "NotControls": "moa.features.conditions",
    "OneHotConditions": "moa.features.conditions",
    "PCA": "moa.features.reductions",
    "RawInputs": "moa.features.conditions",
    "RowStatistics": "moa.features.statistics",
    "SignedLog": "moa.features.profiles",
    "Sphering": "moa.features.profiles",
    "StandardScaler": "moa.features.scaling",
    "TTestSelector": "moa.features.t_test",
    "TrainingEvidence": "moa.features.evidence",
    "TreatedRows": "moa.features.conditions",
    "UMAPEmbedding": "moa.features.umap",
    "VarianceThreshold": "moa.features.scaling",
    "Varying": "moa.features.profiles",
}

#: Type names of this package that a reader of stored fits may construct, besides those that skops trusts by default.
TRUSTED_TYPES = tuple(f"{PACKAGE}.{name}" for name in STORED)
#: Transformers of users' recipes.
_own: set[str] = set()

Class = TypeVar("Class", bound=type)


def trust(cls: type) -> None:
    """Let stored fits of a class outside of this package be read."""
    _own.add(f"{cls.__module__}.{cls.__qualname__}")


def trusted_types() -> list[str]:
    """Type names that a reader of stored fits may construct, besides those that skops trusts by default."""
    return [*TRUSTED_TYPES, *sorted(_own)]


def stored(cls: Class) -> Class:
    """Class decorator: store fits of the class as ``moa.features.<name>``.

    Raises:
        TypeError: ``STORED`` does not list the class with this module, so that its stored fits could not be read.
    """
    if STORED.get(cls.__name__) != cls.__module__:
        raise TypeError(f"{cls.__module__}.{cls.__name__} is not in moa.features.stored.STORED")
    cls.__module__ = PACKAGE
    return cls
