"""Where things lie: beside the package at home, below /kaggle on Kaggle, so that one notebook runs in both places.

On Kaggle what is attached to a notebook lies, read-only, in folders below /kaggle/input, what a run leaves in
/kaggle/working is its output, and in a competition's runs there is no internet. Which folder is which is told by what
it holds and not by its name: Kaggle has changed how it names them, and everyone's data sets are named otherwise.

Nothing but Python's own library is imported at the top: a notebook calls `settle` before the packages that Kaggle's
image lacks are installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from moa.environment import FINAL, PRETRAINED, kaggle_root, pretrained_folder
from moa.errors import UserError

#: What Kaggle's image lacks, or may hold in a version below the one this code needs.
ADDITIONS: dict[str, str | None] = {
    "iterative-stratification": None,
    "prettytable": None,  # skops needs it
    "pynndescent": None,  # umap-learn needs it
    "pytorch-ranger": None,  # torch-optimizer needs it
    "pytorch-tabnet": None,
    "resnest": None,
    "scikit-learn": "1.6",  # umap-learn needs it
    "skops": None,
    "timm": "1.0",
    "torch-optimizer": None,
    "umap-learn": "0.5.7",
}
_TRAINING_FILE = "train_features.csv"
_DEPTH = 6  # folders below input that are looked into: /kaggle/input/datasets/USER/NAME/weights/MODEL


@dataclass(frozen=True)
class Places:
    """The folders of a run.

    Attributes:
        data: the competition files.
        weights: trained weights.
        out: for predictions and submissions.
        on_kaggle: whether this is Kaggle.
    """

    data: Path
    weights: Path
    out: Path
    on_kaggle: bool

    def submission(self, blend: str) -> Path:
        """The file of a blend's submission; Kaggle scores ``submission.csv`` and no other."""
        return self.out / ("submission.csv" if self.on_kaggle else f"submission-{blend}.csv")


def settle(
    profile: str = "kaggle",
    data: str | Path | None = None,
    weights: str | Path | None = None,
    out: str | Path | None = None,
    train: str | None = None,
) -> Places:
    """Find the folders of a run, wherever it runs; on Kaggle, install what is missing from the attached wheels.

    Args:
        profile: "kaggle" or "demo"; at home its results lie in output/PROFILE, as reproduce.sh leaves them.
        data, weights, out: folders to take instead of those found.
        train: name of a model that is to be trained. On Kaggle its weights then go to the output, and what an earlier
            run left, attached as an input, is copied there first, so that a run goes on over several sessions.

    Raises:
        UserError: on Kaggle, no attached folder holds what is needed.
    """
    root = kaggle_root()
    if root is None:
        found = _at_home(profile)
    else:
        attached = root / "input"
        _install_missing(attached)
        _name_pretrained(attached)
        working = root / "working"
        found = Places(
            Path(data) if data else _attached_data(attached),
            Path(weights) if weights else _attached_weights(attached, working, train),
            working,
            True,
        )
    return Places(
        Path(data or found.data), Path(weights or found.weights), Path(out or found.out), on_kaggle=found.on_kaggle
    )


def _at_home(profile: str) -> Places:
    home = FINAL.parent
    output = home / "output" / profile
    made = output / "data"  # by reproduce.sh, where there are no real data
    return Places(made if (made / _TRAINING_FILE).exists() else home / "data", output / "weights", output, False)


def _attached_data(attached: Path) -> Path:
    for folder in _folders(attached):
        if (folder / _TRAINING_FILE).is_file():
            return folder
    raise UserError(f"{attached}: holds no {_TRAINING_FILE}; attach the competition's data (lish-moa) to the notebook")


def _attached_weights(attached: Path, working: Path, train: str | None) -> Path:
    stores = sorted({path.parent.parent for path in _files(attached, "manifest.json")})
    own = working / "weights"
    if train is None and not stores and not own.is_dir():
        raise UserError(f"{attached}: holds no trained weights; attach a data set or the output of a training notebook")
    if train is None and not stores:
        return own
    if train is None and len(stores) == 1:
        return stores[0]
    from moa.training.merge import merge_weights  # not before the missing packages are installed

    if train is None:  # each training notebook's output is a part; linked, they take no room
        whole = Path(tempfile.mkdtemp(prefix="weights-"))
        merge_weights(stores, whole, link=True)
        return whole
    merge_weights([store for store in stores if (store / train).is_dir()], own, models=[train])
    return own


def _name_pretrained(attached: Path) -> None:
    if pretrained_folder():
        return
    for folder in _folders(attached):
        if next((path for pattern in ("*.pth", "*.safetensors") for path in folder.glob(pattern)), None):
            os.environ[PRETRAINED] = str(folder)
            return


def _install_missing(attached: Path) -> None:
    wheels = {wheel.name: wheel for wheel in _files(attached, "*.whl") if _lacks(*wheel.name.split("-")[:2])}
    if not wheels:
        return
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", *map(str, wheels.values())]
    print(f"installing {', '.join(sorted(wheels))}")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise UserError(
            f"the attached wheels cannot be installed ({done.stdout.strip().splitlines()[-1]}); make them again for "
            f"Python {sys.version_info.major}.{sys.version_info.minor}: moa kaggle package --python"
        )


def _lacks(name: str, offered: str) -> bool:
    """Whether a package is not installed, or is too old for this code while the wheel is not."""
    try:
        installed = _number(version(name))
    except PackageNotFoundError:
        return True
    least = ADDITIONS.get(name.replace("_", "-").lower())
    return least is not None and installed < _number(least) <= _number(offered)


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _files(root: Path, pattern: str) -> Iterator[Path]:
    for folder in _folders(root):
        yield from sorted(folder.glob(pattern))


def _folders(root: Path) -> Iterator[Path]:
    """Folders below ``root``, nearer ones first; the thousand folders inside trained models are passed by."""
    level = [root]
    for _ in range(_DEPTH + 1):
        yield from level
        open_ones = [folder for folder in level if not (folder / "manifest.json").exists()]
        level = [child for folder in open_ones for child in sorted(folder.iterdir()) if child.is_dir()]
