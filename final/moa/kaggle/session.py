"""The folders of a run: those of the checkout at home, those below /kaggle on Kaggle; one notebook runs in both places.

On Kaggle, everything attached to a notebook is in read-only folders below /kaggle/input, the files in /kaggle/working
are the output of a run, and competition runs have no internet. Attached folders are recognised by their content and not
by their names: Kaggle has changed how it names them, and every user names data sets differently.

Only the standard library is imported at the top: a notebook uses this module before the packages that are missing in
Kaggle's image are installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from moa.environment import FINAL, PRETRAINED, Folders, kaggle_root, pretrained_folder
from moa.errors import UserError
from moa.weights.layout import WeightsFolder

#: Packages that Kaggle's image lacks, or may have in a version that is too old; with the oldest version that works.
ADDITIONS: dict[str, str | None] = {
    "iterative-stratification": None,
    "prettytable": None,  # needed by skops
    "pynndescent": None,  # needed by umap-learn
    "pytorch-ranger": None,  # needed by torch-optimizer
    "resnest": None,
    "scikit-learn": "1.6",  # needed by umap-learn
    "skops": None,
    "timm": "1.0",
    "torch-optimizer": None,
    "umap-learn": "0.5.7",
}
#: File patterns of ImageNet weights.
PRETRAINED_FILES = ("*.pth", "*.safetensors")
_TRAINING_FILE = "train_features.csv"
#: Levels below /kaggle/input that are searched; the model folder in datasets/USER/NAME/weights/MODEL is at level 5.
_DEPTH = 6


@dataclass(frozen=True)
class Session:
    """The folders of a run. `find` only looks; each of the other methods has one effect, and none outside Kaggle."""

    data: Path  # folder of the competition's files
    out: Path  # folder for predictions and submissions
    profile: str = "kaggle"  # "kaggle" (published settings) or "demo"
    attached: Path | None = None  # /kaggle/input on Kaggle, None elsewhere
    #: Weights folder that the user gave, or that reproduce.sh writes at home; None: `collect_weights` looks for it.
    given_weights: Path | None = None

    @classmethod
    def find(
        cls,
        profile: str | None = None,
        data: str | Path | None = None,
        weights: str | Path | None = None,
        out: str | Path | None = None,
    ) -> Session:
        """Find the folders, at home and on Kaggle; nothing is changed.

        Folders that are given take the place of those that are found. At home, folders and the default of ``profile``
        are those of ``Folders.find``.

        Raises:
            UserError: on Kaggle, no attached folder holds the competition's data.
        """
        root = kaggle_root()
        if root is not None:
            attached = root / "input"
            data = Path(data) if data else _attached_data(attached)
            given = Path(weights) if weights else None
            return cls(data, Path(out or root / "working"), profile or "kaggle", attached, given)
        home = Folders.find(profile, data, weights=weights, output=out, root=FINAL.parent)
        if (profile, data, home.profile) == (None, None, "demo"):
            print(f"no data in {FINAL.parent / 'data'}: this is the demo, with synthetic data")
        return cls(home.data, home.output, home.profile, None, home.weights)

    def with_data(self) -> Session:
        """At home, without any data: write the demo's synthetic data, as reproduce.sh does.

        Returns:
            this session, or one of those data.
        """
        if self.on_kaggle or self.profile != "demo" or self.data != FINAL.parent / "data":
            return self
        from moa.data.synthetic import DEMO, synthesize  # needs packages that Kaggle's image may lack

        folder = self.out / "data"
        print(f"writing synthetic data: {folder}")
        synthesize(folder, **DEMO)
        return replace(self, data=folder)

    @property
    def on_kaggle(self) -> bool:
        """Whether this runs on Kaggle."""
        return self.attached is not None

    def submission(self, blend: str) -> Path:
        """File for the submission of a blend; Kaggle only scores ``submission.csv``."""
        return self.out / ("submission.csv" if self.on_kaggle else f"submission-{blend}.csv")

    def install_wheels(self) -> None:
        """On Kaggle, install the attached wheels of packages that are missing or too old.

        Raises:
            UserError: pip cannot install them.
        """
        wheels = {wheel.name: wheel for wheel in self._attached_files("*.whl") if _is_missing(wheel)}
        if not wheels:
            return
        print(f"installing {', '.join(sorted(wheels))}")
        problem = pip("install", "--quiet", "--no-index", "--no-deps", *map(str, wheels.values()))
        if problem is not None:
            python = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise UserError(
                f"the attached wheels cannot be installed ({problem}); make them again "
                f"for Python {python}: moa kaggle package --python {python}"
            )

    def use_pretrained(self) -> None:
        """On Kaggle, set MOA_PRETRAINED to the attached folder of ImageNet weights, unless it is set."""
        if pretrained_folder() is None:
            for file in self._attached_files(*PRETRAINED_FILES):
                os.environ[PRETRAINED] = str(file.parent)
                return

    def collect_weights(self, train: str | None = None) -> Path:
        """The weights folder of this run. On Kaggle, bring together the weights that earlier runs left.

        For predicting, a single attached weights folder is used as it is; several, such as the outputs of one training
        notebook per fold, are linked into a temporary folder. For training, the weights belong to the output: the
        units that earlier runs finished are copied there, so that training can continue over several sessions.

        ``train`` names the model to train; None: the weights are only read.

        Raises:
            UserError: no attached folder holds trained weights, and they are needed.
        """
        if self.given_weights is not None:
            return self.given_weights
        if self.attached is None:
            raise UserError("give the weights folder: outside Kaggle none is looked for")
        folders = sorted(folder for folder in _folders(self.attached) if WeightsFolder(folder).models())
        own = self.attached.parent / "working" / "weights"
        if train is None and not folders:
            if own.is_dir():
                return own
            raise UserError(
                f"{self.attached}: holds no trained weights; attach a data set or the output of a training notebook"
            )
        if train is None and len(folders) == 1:
            return folders[0]
        from moa.weights.merge import merge_weights  # only now are the missing packages installed

        if train is None:
            linked = Path(tempfile.mkdtemp(prefix="weights-"))
            merge_weights(folders, linked, link=True)
            return linked
        merge_weights([folder for folder in folders if WeightsFolder(folder).has(train)], own, models=[train])
        return own

    def _attached_files(self, *patterns: str) -> Iterator[Path]:
        """Attached files by pattern; none outside Kaggle."""
        for folder in _folders(self.attached) if self.attached else ():
            for pattern in patterns:
                yield from sorted(folder.glob(pattern))


def pip(*words: str) -> str | None:
    """Run pip; returns the last line that it prints where it fails."""
    command = [sys.executable, "-m", "pip", *words]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    return done.stdout.strip().splitlines()[-1] if done.returncode else None


def _attached_data(attached: Path) -> Path:
    for folder in _folders(attached):
        if (folder / _TRAINING_FILE).is_file():
            return folder
    raise UserError(f"{attached}: holds no {_TRAINING_FILE}; attach the competition's data (lish-moa) to the notebook")


def _is_missing(wheel: Path) -> bool:
    """Whether the package of a wheel is not installed, or is too old while the wheel is not."""
    name, offered = wheel.name.split("-")[:2]
    try:
        installed = _number(version(name))
    except PackageNotFoundError:
        return True
    least = ADDITIONS.get(name.replace("_", "-").lower())
    return least is not None and installed < _number(least) <= _number(offered)


def _number(text: str) -> tuple[int, ...]:
    """A version as comparable numbers."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _folders(root: Path) -> Iterator[Path]:
    """``root`` and the folders below it, nearest first; the many folders inside trained models are skipped."""
    level = [root]
    for _ in range(_DEPTH + 1):
        yield from level
        searched = [folder for folder in level if not WeightsFolder(folder.parent).has(folder.name)]
        level = [child for folder in searched for child in sorted(folder.iterdir()) if child.is_dir()]
