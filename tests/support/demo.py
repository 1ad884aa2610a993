"""Models trained at demo size for the tests: each once, by the first test that asks for it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from filelock import FileLock

from moa.cli import main
from moa.data.synthetic import synthesize
from moa.environment import Folders
from moa.jobs.options import TrainOptions
from moa.jobs.train import train_models
from moa.models.registry import recipe, recipes
from support import ROOT

#: A CNN that trains in a second.
TINY_CNN = {"pretrained": False, "resolution": 16, "layout": "pca", "hidden": 8, "epochs": 1, "batch_size": 64}
#: The data set that tests share: rows enough for each scored target and each fold, and no more.
ROWS = {"rows": 480, "test_rows": 120, "seed": 1}
#: For tests that need more rows than there are genes, or models that are better than the prevalence.
MORE_ROWS = ROWS | {"rows": 900}
#: ResNeSt V1 differs from V2 in a dropout: the other models are trained for the tests that go through all of them.
TRAINED = [name for name in recipes() if name != "deepinsight-resnest-v1"]
#: Trained by a command on the smaller data set, as a user does. Others are trained in the test process,
#: which has imported torch already.
BY_COMMAND = "simple-nn-old-cv"


def moa(*arguments, check=True, **options):
    """Run ``moa`` as a separate process; returns the finished process."""
    command = [sys.executable, "-m", "moa.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, **options)
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def moa_quietly(*arguments: str) -> None:
    """What a process does that runs ``moa``: for processes that a test forks."""
    sys.argv = ["moa", *arguments]
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        main()


class Demo:
    """A synthetic data set and the models trained on it, shared by all processes of a test run.

    Args:
        folder: shared by the processes, and by runs of the same code; locks in it keep anything from being made twice.
        views: a folder of this process.
        rows: of the data set, as ``synthesize`` takes them.
    """

    def __init__(self, folder: Path, views: Path, rows: dict[str, int] = ROWS):
        self._folder, self._views, self._rows = folder, views, rows
        self._made: dict[tuple[str, ...], Path] = {}
        self._weights = folder / "weights"

    def data(self) -> Path:
        """The data set, of the competition's columns."""
        data = self._folder / "competition" / "data"
        with self._locked("data"):
            synthesize(data, **self._rows)  # does nothing where it is done
        return data

    def weights(self, *names: str) -> Path:
        """A weights folder that holds these models alone, trained now if they are not yet."""
        for name in names:
            self._train(name)
        if names not in self._made:
            self._made[names] = copy_models(self._weights, self._views / str(len(self._made)), *names, copy=link)
        return self._made[names]

    def _train(self, name: str) -> None:
        trained = self._folder / f"{name}.trained"
        if trained.exists():
            return
        data = self.data()
        with self._locked(name):
            if trained.exists():
                return
            if name == BY_COMMAND and self._rows == ROWS:
                options = ["--profile", "demo", "--data", data, "--weights", self._weights, "--device", "cpu"]
                moa("train", name, *options)
            else:
                where, model = Folders.find("demo", data, weights=self._weights), recipe(name)
                # EfficientNet alone is trained at the demo's size, which takes a ResNeSt three times as long.
                tiny = {"learner": model.demo["learner"] | TINY_CNN} if "resnest" in name else {}
                with mock.patch.dict(model.demo, tiny):
                    train_models([model], where, TrainOptions(device="cpu"))
            trained.touch()

    def _locked(self, name: str) -> FileLock:
        self._folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self._folder / f"{name}.lock")


def link(source: str, target: str) -> None:
    """Copy a file by a hard link where that is possible: files of a store are replaced whole, never written into."""
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)


def copy_models(weights: Path, folder: Path, *names: str, copy: Callable = shutil.copy2) -> Path:
    """Copy models and the fits they share, to change or to add to; returns ``folder``."""
    for name in ("shared", *names):
        # Another process may be writing into the shared fits: its temporary files begin with a dot.
        unfinished = shutil.ignore_patterns(".*")
        shutil.copytree(weights / name, folder / name, ignore=unfinished, copy_function=copy, dirs_exist_ok=True)
    return folder
