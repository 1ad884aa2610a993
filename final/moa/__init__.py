"""The winning solution of Kaggle's "Mechanisms of Action (MoA) Prediction", as one small package.

Data flows one way: files -> data -> features -> networks and engine -> predictions -> blend -> submission.csv.

What is listed in ``__all__`` is for use after ``import moa``; each name is imported when it is first used.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from moa.version import __version__

if TYPE_CHECKING:  # for editors and type checkers
    from moa.api import import_plates, load, predict, report, score, train
    from moa.classifier import MoAClassifier
    from moa.loaded import Model

# Threads of torch and scikit-learn that wait for others sleep. By default they spin, and starve whatever else wants the
# core. OpenMP reads this when torch is imported: every way into the package sets it first, and processes that it starts
# inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A process that a notebook starts trains with the definitions in the notebook's cells, see moa/cells.py.
if _cells := os.environ.get("MOA_CELLS"):
    import_module("moa.cells").cells.read(_cells)

__all__ = [
    "Model",
    "MoAClassifier",
    "__version__",
    "import_plates",
    "load",
    "predict",
    "report",
    "score",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    places = {"MoAClassifier": "moa.classifier", "Model": "moa.loaded"}
    return getattr(import_module(places.get(name, "moa.api")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
