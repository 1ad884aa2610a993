"""Download the competition's files with the kaggle client and the user's own token."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

from moa.data.schema import SAMPLE_SUBMISSION, TEST_FEATURES, TRAIN_DRUG, TRAIN_FEATURES, TRAIN_NONSCORED, TRAIN_SCORED
from moa.errors import UserError, WriteError
from moa.files import writing

#: Name of the competition in Kaggle's addresses and commands.
SLUG = "lish-moa"
FILES = (TRAIN_FEATURES, TEST_FEATURES, TRAIN_SCORED, TRAIN_NONSCORED, TRAIN_DRUG, SAMPLE_SUBMISSION)
PAGE = f"https://www.kaggle.com/competitions/{SLUG}"
BY_HAND = f"or download the files by hand from {PAGE}/data"


def download(folder: Path) -> None:
    """Fetch those of the six files that are not yet in ``folder``; existing files are never overwritten.

    Raises:
        UserError: the client or token is missing, the competition's rules were not accepted, or the download failed;
            the message says what to do.
    """
    folder = Path(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if not missing:
        return
    # Prefer the client of the environment that runs this, even if that environment is not activated.
    client = shutil.which("kaggle", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if client is None:
        raise UserError(f"the kaggle client is not installed: pip install kaggle, {BY_HAND}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as temporary:
            _fetch(client, Path(temporary))
            archives = sorted(Path(temporary).glob("*.zip"))
            if not archives:
                raise UserError(f"the kaggle client brought no archive; try again, {BY_HAND}")
            _unpack(archives[0], missing, Path(temporary), folder)
    except WriteError:
        raise
    except OSError as error:
        raise UserError(f"{folder}: the download cannot be written ({error.strerror or error})") from None


def _fetch(client: str, target: Path) -> None:
    command = [client, "competitions", "download", "-c", SLUG, "-p", str(target)]
    try:
        # The client prints refusals of the server to stdout, and a traceback to stderr if the token is missing.
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise UserError(f"{client}: cannot be run ({error.strerror}); reinstall it, {BY_HAND}") from None
    if done.returncode:
        raise UserError(_explain(done.stdout))


def _unpack(archive: Path, wanted: list[str], temporary: Path, folder: Path) -> None:
    """Extract the wanted files and move each into the folder atomically.

    Only archive members with exactly these names are read, so no path in the archive can lead out of the folder.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            lost = [name for name in wanted if name not in packed.namelist()]
            if lost:
                raise UserError(f"{archive.name}: does not contain {', '.join(lost)}; {BY_HAND}")
            with writing(folder, sum(packed.getinfo(name).file_size for name in wanted)):
                for name in wanted:
                    with packed.open(name) as source, (temporary / name).open("wb") as target:
                        shutil.copyfileobj(source, target, 1 << 20)
    except WriteError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise UserError(f"{archive.name}: the archive is damaged; run the command again") from None
    for name in wanted:
        os.replace(temporary / name, folder / name)


def _explain(message: str) -> str:
    # Indented lines are frames of a traceback; their line numbers must not be mistaken for an HTTP status.
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.startswith(" ")]
    text = "\n".join(lines).lower()
    if re.search(r"\b403\b|forbidden", text):
        return f"Kaggle refused the download (403): accept the competition's rules at {PAGE}/rules, then run it again"
    if re.search(r"\b401\b|unauthorized|kaggle\.json|credentials|authenticate|in configuration", text):
        return (
            "Kaggle did not accept your credentials: make a token at https://www.kaggle.com/settings (API, Create New "
            f"Token) and save it as ~/.kaggle/kaggle.json, or set KAGGLE_USERNAME and KAGGLE_KEY; {BY_HAND}"
        )
    return f"the kaggle client failed ({lines[-1] if lines else 'no message'}); try again, {BY_HAND}"
