"""Every environment variable that the package reads, and where its folders lie. Nothing heavy is imported here.

==================  =================================================================================================
MOA_CACHE           folder of parsed csv files; ``~/.cache/moa`` by default
MOA_CELLS           file of a notebook's definitions, which takes the place of the package's own (``moa.cells``)
MOA_COMPILE         1: run the batched training step of the perceptrons through torch.compile
MOA_ENGINE          how perceptrons are trained: sequential, threads or ensemble; by device where it is not set
MOA_KAGGLE_ROOT     takes the place of /kaggle
MOA_PRETRAINED      folder of ImageNet weights
MOA_RECIPE          files of models of one's own, as for ``--recipe``
==================  =================================================================================================

Two variables of other libraries are set where they are not: ``OMP_WAIT_POLICY`` (in ``moa/__init__.py``) and
``NUMBA_CACHE_DIR`` (here, where numba has no folder that it can write to).
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from moa.errors import UserError
from moa.words import unknown

CACHE = "MOA_CACHE"
CELLS = "MOA_CELLS"
COMPILE = "MOA_COMPILE"
ENGINE = "MOA_ENGINE"
KAGGLE_ROOT = "MOA_KAGGLE_ROOT"
PRETRAINED = "MOA_PRETRAINED"
_NUMBA_CACHE = "NUMBA_CACHE_DIR"

#: The folder ``final`` of a checkout: the submissions' folders lie beside the package.
FINAL = Path(__file__).resolve().parents[1]

#: Settings of all models: published, or small enough for minutes on two CPU cores.
PROFILES = ("kaggle", "demo")


def check_profile(name: str) -> str:
    """The profile of that name.

    Raises:
        UserError: there is none.
    """
    if name not in PROFILES:
        raise UserError(f"profile {unknown(name, PROFILES)}; choose one of: {', '.join(PROFILES)}")
    return name


@dataclass(frozen=True)
class Folders:
    """Where a run reads and writes; reproduce.sh, commands, functions and notebooks agree on the defaults.

    Attributes:
        profile: "kaggle" or "demo".
        data: folder of the data set.
        output: folder of the results.
        weights: folder of the trained weights.
        predictions: folder of the predictions of single models.
    """

    profile: str
    data: Path
    output: Path
    weights: Path
    predictions: Path

    @classmethod
    def find(
        cls,
        profile: str | None = None,
        data: Path | str | None = None,
        *,
        weights: Path | str | None = None,
        predictions: Path | str | None = None,
        output: Path | str | None = None,
        root: Path = Path(),
    ) -> Folders:
        """The folders that are given; for the others those below ``root``: ``data``, and ``output/PROFILE``.

        Without real data in ``data``, the demo's synthetic data in ``output/demo/data`` take their place.

        Args:
            profile: None: "kaggle" for any data but the demo's; without data, that of the results in ``output``.
            data: folder of the data set; None: the profile's.
            weights: None: ``output/PROFILE/weights``.
            predictions: None: ``output/PROFILE/predictions``.
            output: None: ``output/PROFILE``.
            root: folder to start from; by default the working directory.

        Raises:
            UserError: no such profile.
        """
        own, results = root / "data", root / "output"
        synthetic = results / "demo" / "data"
        if profile is None:
            if data is not None:
                demo = Path(data).resolve() == synthetic.resolve()
            else:
                known = _holds_data(own) or (not _holds_data(synthetic) and (results / "kaggle").is_dir())
                demo = not known
            profile = "demo" if demo else "kaggle"
        if data is None:
            data = synthetic if profile == "demo" and _holds_data(synthetic) else own
        results = results / check_profile(profile)
        return cls(
            profile,
            Path(data),
            Path(output or results),
            Path(weights or results / "weights"),
            Path(predictions or results / "predictions"),
        )


def _holds_data(folder: Path) -> bool:
    """Whether a folder holds features to train on or to predict."""
    return any(next(folder.glob(f"{name}_features.*"), None) for name in ("train", "test"))


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Say in one line which package is missing in the block, or in the decorated function, and what installs it.

    Args:
        extra: the package's extra, see pyproject.toml.

    Raises:
        UserError: a module cannot be found.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "?").split(".")[0]
        raise UserError(f"the package {name} is missing; install what this needs: pip install 'moa[{extra}]'") from None


def variable(name: str) -> str | None:
    """The value of an environment variable; None where it is not set or empty."""
    return os.environ.get(name) or None


def cache_folder() -> Path:
    """Where parsed csv files are kept."""
    return Path(variable(CACHE) or Path.home() / ".cache" / "moa")


def give_numba_a_cache() -> None:
    """Find a folder for numba's compiled functions; to be called before umap is imported.

    numba writes beside umap or into the home, and umap cannot be imported where both are read-only, as in containers.
    Then the folder of parsed csv files takes them, or else a private one in the system's temporary folder.

    Raises:
        UserError: nothing at all can be written.
    """
    if variable(_NUMBA_CACHE):
        return
    home = Path(variable("XDG_CACHE_HOME") or Path.home() / ".cache")
    package = find_spec("umap")
    beside = [Path(place) / "__pycache__" for place in (package.submodule_search_locations if package else None) or ()]
    if any(map(_is_writable, (*beside, home / "numba"))):
        return
    folder = cache_folder() / "numba"
    if not _is_writable(folder):
        private = _private_folder(Path(tempfile.gettempdir()) / "moa-numba")
        if private is None:
            raise UserError(f"UMAP needs a folder that can be written to: set {_NUMBA_CACHE} to one")
        folder = private
    os.environ[_NUMBA_CACHE] = str(folder)
    if "numba" in sys.modules:  # it has read the variable already
        sys.modules["numba"].config.CACHE_DIR = str(folder)


def _private_folder(path: Path) -> Path | None:
    """A folder that this user alone can read and write, kept for later processes; None where none can be made.

    numba unpickles what it finds in its folder, so nobody else may be able to put files there.
    """
    if not hasattr(os, "getuid"):
        return path if _is_writable(path) else None  # on Windows, temporary folders are the user's own
    folder = path.with_name(f"{path.name}-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
        if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o077:
            return folder
        return Path(tempfile.mkdtemp(prefix=f"{path.name}-"))
    except OSError:
        return None


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def pretrained_folder() -> Path | None:
    """Where ImageNet weights lie; None where it is not said."""
    folder = variable(PRETRAINED)
    return Path(folder) if folder else None


def kaggle_root() -> Path | None:
    """/kaggle on Kaggle, None elsewhere."""
    root = Path(variable(KAGGLE_ROOT) or "/kaggle")
    return root if (root / "input").is_dir() else None
