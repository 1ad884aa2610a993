"""A folder for the models that tests share, kept from run to run under a key of the code that trains them.

``MOA_TEST_STORE`` names another place than the user's cache folder. Where nothing is kept, a run trains all of them.
"""

import hashlib
import os
import platform
import shutil
import time
from importlib.metadata import distributions
from pathlib import Path

from moa.environment import FINAL
from support import TESTS

#: Parts of the package that neither make the demo's data nor train on them.
OTHERS = ("blending", "importing", "kaggle", "notebook", "plots", "reporting")
#: So many folders are kept, and those that were used within so many hours.
_KEPT, _HOURS = 4, 3


def kept_folder(temporary: Path) -> Path:
    """The folder of the present code, which is made; below ``temporary`` where none can be kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = Path(os.environ.get("MOA_TEST_STORE") or Path(cache) / "moa-tests")
    folder = place / trained_by()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        _forget_old(place)
    except OSError:
        folder = temporary / "kept"
    return folder


def trained_by() -> str:
    """A key of all that the trained models depend on: code, versions of packages, and the machine."""
    package = FINAL / "moa"
    code = [path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    code = [path for path in code if path.relative_to(package).parts[0] not in OTHERS]
    found = hashlib.sha256()
    for path in sorted([*code, TESTS / "support" / "demo.py"]):
        found.update(f"{path.relative_to(FINAL.parent)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    versions = sorted(f"{each.name} {each.version}" for each in distributions())
    found.update("\n".join([*versions, platform.python_version(), platform.platform(), platform.node()]).encode())
    return found.hexdigest()[:20]


def _forget_old(place: Path) -> None:
    used = sorted(((folder.stat().st_mtime, folder) for folder in place.iterdir()), reverse=True)
    for when, folder in used[_KEPT:]:
        if time.time() - when > _HOURS * 3600:
            shutil.rmtree(folder, ignore_errors=True)
