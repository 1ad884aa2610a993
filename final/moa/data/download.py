"""Download the competition's files with the kaggle client, version 1 or 2, and the user's own key or token."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path

from moa.data.kaggle_client import KaggleClient
from moa.data.schema import SAMPLE_SUBMISSION, TEST_FEATURES, TRAIN_DRUG, TRAIN_FEATURES, TRAIN_NONSCORED, TRAIN_SCORED
from moa.errors import UserError, WriteError
from moa.files import writing
from moa.progress import progress

#: Name of the competition in Kaggle's addresses and commands.
SLUG = "lish-moa"
FILES = (TRAIN_FEATURES, TEST_FEATURES, TRAIN_SCORED, TRAIN_NONSCORED, TRAIN_DRUG, SAMPLE_SUBMISSION)
PAGE = f"https://www.kaggle.com/competitions/{SLUG}"
_RULES = f"Kaggle refused the download (403): accept the competition's rules at {PAGE}/rules, then run it again"
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
    client = KaggleClient(BY_HAND)
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


def _fetch(client: KaggleClient, target: Path) -> None:
    with progress(f"download {SLUG}") as bar:

        def watch() -> None:
            size = sum(path.stat().st_size for path in target.iterdir())
            bar.update(0, f"{size / 2**20:,.0f} MiB")

        status, said = client.run("competitions", "download", SLUG, "-p", str(target), watch=watch)
    if status:
        raise client.problem(said, _RULES)


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
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise UserError(f"{archive.name}: the archive is damaged; run the command again") from None
    for name in wanted:
        os.replace(temporary / name, folder / name)
