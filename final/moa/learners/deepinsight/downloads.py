"""Fetch ImageNet weights into a folder, for machines and Kaggle kernels without internet.

An interrupted download goes on where it stopped. A file gets its name once it is whole, its checksum is right and the
backbone takes its tensors.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

from moa.errors import UserError
from moa.files import ensure_writable, sha256, writing
from moa.learners.deepinsight.backbones import Backbone, load_pretrained

_BLOCK = 1 << 18
_SECONDS = 60  # without an answer


@dataclass(frozen=True)
class Fetched:
    """A file of weights.

    Attributes:
        path: where it is.
        address: where it came from; "" if it existed before.
        size: bytes.
        sha256: its checksum.
    """

    path: Path
    address: str
    size: int
    sha256: str


def fetch_pretrained(
    backbone: Backbone, folder: Path, tell: Callable[[str, int, int | None], None] = lambda name, done, size: None
) -> Fetched:
    """The ImageNet weights of a backbone, in ``folder``; a file that exists is checked and kept.

    Args:
        backbone: EfficientNet or ResNeSt.
        folder: is made where it does not exist.
        tell: called with the file's name, the bytes that have arrived and the size of the whole.

    Raises:
        UserError: no address answers, a checksum is wrong, or the file belongs to another network.
        WriteError: the folder cannot be written.
    """
    files = backbone.files()
    if not files:
        raise UserError(f"there are no ImageNet weights for this {backbone.kind}")
    ensure_writable(folder)
    problems = []
    for name, address in files.items():
        path = folder / name
        came = ""
        if not path.is_file():
            try:
                with writing(path, kept="what has come is kept"):
                    folder.mkdir(parents=True, exist_ok=True)
                    part = _download(address, path, partial(tell, name))
            except (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError) as error:
                problems.append(f"{address}: {getattr(error, 'reason', None) or type(error).__name__}")
                continue
            part.rename(path)
            came = address
        try:
            load_pretrained(backbone, folder, only=name)
        except UserError:
            if came:
                path.unlink()  # whatever it is, the next call must not take it for the weights
            raise
        return Fetched(path, came, path.stat().st_size, sha256(path))
    raise UserError(
        f"ImageNet weights of {backbone.name} cannot be downloaded ({'; '.join(problems)}): run this again where there "
        f"is internet, or put one of these files into {folder} by hand"
    )


def _download(address: str, path: Path, tell: Callable[[int, int | None], None]) -> Path:
    """Download to a file beside ``path``, from where an earlier call stopped; returns that file."""
    part = path.with_name(f".{path.name}.part")
    done = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        part.unlink()  # it is longer than the file, which has changed
        return _download(address, path, tell)
    with answer:
        if done and answer.status != HTTPStatus.PARTIAL_CONTENT:  # a server without ranges starts from the beginning
            done = 0
        whole = re.search(r"/(\d+)$", answer.headers.get("Content-Range", ""))
        length = answer.headers.get("Content-Length")
        size = int(whole[1]) if whole else int(length) if length else None
        with part.open("ab" if done else "wb") as file:
            tell(done, size)
            while block := answer.read(_BLOCK):
                file.write(block)
                done += len(block)
                tell(done, size)
    if size is not None and done < size:
        raise ConnectionError("the connection was lost; run this again to go on")
    return part
