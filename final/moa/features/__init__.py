"""Features: transformers with scikit-learn's interface, and the pipeline that applies them to named columns.

The transformers can be imported from here; each is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from moa.features.stored import STORED, TRUSTED_TYPES

# In full, for tools that read the source: the documentation, editors.
__all__ = [
    "TRUSTED_TYPES",
    "Bounded",
    "ConditionCodes",
    "Copies",
    "FactorAnalysis",
    "Familiarity",
    "PCA",
    "GaussianRank",
    "KMeansOneHot",
    "Log10",
    "LogScaler",
    "NotControls",
    "OneHotConditions",
    "RawInputs",
    "RowStatistics",
    "SignedLog",
    "Sphering",
    "StandardScaler",
    "TTestSelector",
    "TrainingEvidence",
    "TreatedRows",
    "UMAPEmbedding",
    "VarianceThreshold",
    "Varying",
]


def __getattr__(name: str) -> Any:
    if name not in STORED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(STORED[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *STORED})
