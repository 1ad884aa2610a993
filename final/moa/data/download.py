"""Download the competition's files with the kaggle client, version 1 or 2, and the user's own key or token."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from moa.data.schema import SAMPLE_SUBMISSION, TEST_FEATURES, TRAIN_DRUG, TRAIN_FEATURES, TRAIN_NONSCORED, TRAIN_SCORED
from moa.errors import UserError, WriteError
from moa.files import writing
from moa.progress import progress

#: Name of the competition in Kaggle's addresses and commands.
SLUG = "lish-moa"
FILES = (TRAIN_FEATURES, TEST_FEATURES, TRAIN_SCORED, TRAIN_NONSCORED, TRAIN_DRUG, SAMPLE_SUBMISSION)
PAGE = f"https://www.kaggle.com/competitions/{SLUG}"
_SETTINGS = "https://www.kaggle.com/settings/api"
_POLL_SECONDS = 0.5
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
    with tempfile.TemporaryFile() as messages, progress(f"download {SLUG}") as bar:
        process = _start(client, ["competitions", "download", SLUG, "-p", str(target)], messages)
        try:
            while process.poll() is None:
                size = sum(path.stat().st_size for path in target.iterdir())
                bar.update(0, f"{size / 2**20:,.0f} MiB")
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_SECONDS)
        finally:
            process.kill()  # where this command is stopped; does nothing to a client that has ended
            process.wait()
        messages.seek(0)
        said = messages.read().decode("utf-8", errors="replace")
    if process.returncode:
        raise UserError(_explain(said, client))


def _start(client: str, arguments: list[str], messages: BinaryIO) -> subprocess.Popen:
    """Run the client. It prints refusals of the server to stdout or to stderr, depending on its version."""
    options = {"stdin": subprocess.DEVNULL, "stdout": messages, "stderr": subprocess.STDOUT}
    try:
        return subprocess.Popen([client, *arguments], **options)
    except OSError as error:
        raise UserError(f"{client}: cannot be run ({error.strerror}); reinstall it, {BY_HAND}") from None


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


def _explain(message: str, client: str) -> str:
    # Indented lines are frames of a traceback; their line numbers must not be mistaken for an HTTP status.
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.startswith(" ")]
    text = "\n".join(lines).lower()
    if re.search(r"\b403\b|forbidden", text):
        return f"Kaggle refused the download (403): accept the competition's rules at {PAGE}/rules, then run it again"
    if re.search(r"failed to resolve|failed to establish|network is unreachable|connection refused", text):
        return f"Kaggle cannot be reached: no connection to the internet, or a proxy is needed (HTTPS_PROXY); {BY_HAND}"
    if re.search(r"\b401\b|unauthori[sz]ed|kaggle\.json|credentials|authenticat|in configuration", text):
        return f"{_credentials(client)}; {BY_HAND}"
    return f"the kaggle client failed ({lines[-1] if lines else 'no message'}); try again, {BY_HAND}"


def _credentials(client: str) -> str:
    """What to do where Kaggle does not know who asks; clients before 2.0 know no tokens."""
    with tempfile.TemporaryFile() as messages:
        _start(client, ["--version"], messages).wait()
        messages.seek(0)
        version = re.search(rb"Kaggle (?:CLI|API) ([\d.]+)", messages.read())
    number = version[1].decode() if version else ""
    given = os.environ.get("KAGGLE_API_TOKEN")
    if number.split(".")[0] in ("0", "1"):
        wanted = " KAGGLE_API_TOKEN is set, but" if given else ""
        return (
            f"Kaggle did not accept your credentials:{wanted} this kaggle client ({number}) knows legacy keys alone. "
            f"Make one at {_SETTINGS} (Create Legacy API Key) and save it as ~/.kaggle/kaggle.json, or set "
            "KAGGLE_USERNAME and KAGGLE_KEY; tokens need the client 2 or newer, on Python 3.11 or newer"
        )
    refused = "the token in KAGGLE_API_TOKEN, which is wrong or has expired" if given else "your credentials"
    return (
        f"Kaggle did not accept {refused}: make a token at {_SETTINGS} (Generate New Token), and set KAGGLE_API_TOKEN "
        "to it or save it as ~/.kaggle/access_token"
    )
