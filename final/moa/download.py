"""Download the real competition files with the kaggle client and the user's own token."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from moa.errors import UserError
from moa.schema import (
    SAMPLE_SUBMISSION,
    TEST_FEATURES,
    TRAIN_DRUG,
    TRAIN_FEATURES,
    TRAIN_NONSCORED,
    TRAIN_SCORED,
)

COMPETITION = "lish-moa"
FILES = (TRAIN_FEATURES, TEST_FEATURES, TRAIN_SCORED, TRAIN_NONSCORED, TRAIN_DRUG, SAMPLE_SUBMISSION)
PAGE = f"https://www.kaggle.com/competitions/{COMPETITION}"
BY_HAND = f"or download the files by hand from {PAGE}/data"


def download(folder: Path) -> None:
    """Fetch the six files into ``folder``; returns at once where all are there.

    Raises:
        UserError: no client, no token, rules not accepted, or the download failed; the message says what to do.
    """
    folder = Path(folder)
    if all((folder / name).is_file() for name in FILES):
        return
    # The client of the environment that runs this, whether or not that environment is activated.
    client = shutil.which("kaggle", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if client is None:
        raise UserError(f"the kaggle client is not installed: pip install kaggle, {BY_HAND}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as temporary:
        command = [client, "competitions", "download", "-c", COMPETITION, "-p", temporary]
        done = subprocess.run(command, stdout=None, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise UserError(_explain(done.stderr))
        archives = sorted(Path(temporary).glob("*.zip"))
        if not archives:
            raise UserError(f"the kaggle client brought no archive; try again, {BY_HAND}")
        _unpack(archives[0], Path(temporary), folder)


def _unpack(archive: Path, temporary: Path, folder: Path) -> None:
    """Move the wanted files into the folder, each whole or not at all; other names in the archive are not touched."""
    try:
        with zipfile.ZipFile(archive) as packed:
            lost = [name for name in FILES if name not in packed.namelist()]
            if lost:
                raise UserError(f"{archive.name}: holds no {', '.join(lost)}; {BY_HAND}")
            for name in FILES:
                with packed.open(name) as source, (temporary / name).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    except zipfile.BadZipFile:
        raise UserError(f"{archive.name}: the archive is damaged; run the command again") from None
    for name in FILES:
        os.replace(temporary / name, folder / name)


def _explain(message: str) -> str:
    text = message.lower()
    if "403" in text or "forbidden" in text:
        return f"Kaggle refused the download (403): accept the competition's rules at {PAGE}/rules, then run it again"
    if any(word in text for word in ("401", "unauthorized", "kaggle.json", "credentials", "authenticate")):
        return (
            "Kaggle does not know you: make a token at https://www.kaggle.com/settings (API, Create New Token) and "
            f"put it into ~/.kaggle/kaggle.json, or set KAGGLE_USERNAME and KAGGLE_KEY; {BY_HAND}"
        )
    last = (message.strip().splitlines() or ["no message"])[-1]
    return f"the kaggle client failed ({last}); try again, {BY_HAND}"
