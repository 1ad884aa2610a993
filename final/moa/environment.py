"""Every environment variable that the package reads, and where the checkout lies. Nothing heavy is imported here.

==================  =================================================================================================
MOA_CACHE           folder of parsed csv files; ``~/.cache/moa`` by default
MOA_COMPILE         1: run the batched training step of the perceptrons through torch.compile
MOA_ENGINE          how perceptrons are trained: sequential, threads or ensemble; by device where it is not set
MOA_KAGGLE_ROOT     takes the place of /kaggle
MOA_PRETRAINED      folder of ImageNet weights
==================  =================================================================================================
"""

from __future__ import annotations

import os
from pathlib import Path

CACHE = "MOA_CACHE"
COMPILE = "MOA_COMPILE"
ENGINE = "MOA_ENGINE"
KAGGLE_ROOT = "MOA_KAGGLE_ROOT"
PRETRAINED = "MOA_PRETRAINED"

#: The folder ``final`` of a checkout: the submissions' folders lie beside the package.
FINAL = Path(__file__).resolve().parents[1]


def variable(name: str) -> str | None:
    """The value of an environment variable; None where it is not set or empty."""
    return os.environ.get(name) or None


def cache_folder() -> Path:
    """Where parsed csv files are kept."""
    return Path(variable(CACHE) or Path.home() / ".cache" / "moa")


def pretrained_folder() -> Path | None:
    """Where ImageNet weights lie; None where it is not said."""
    folder = variable(PRETRAINED)
    return Path(folder) if folder else None


def kaggle_root() -> Path | None:
    """/kaggle on Kaggle, None elsewhere."""
    root = Path(variable(KAGGLE_ROOT) or "/kaggle")
    return root if (root / "input").is_dir() else None
