"""Fetch ImageNet weights into a folder, for machines and Kaggle kernels without internet.

An interrupted download goes on where it stopped, if the file of the server is the same. Only files are fetched whose
checksum is known beforehand; one gets its name once it is whole and the backbone takes its tensors.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

from moa.errors import UserError
from moa.files import ensure_writable, read_json, sha256, write_json, writing
from moa.learners.deepinsight.backbones import Backbone, load_pretrained, pinned_sha256

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
            checksum = sha256(part)
            if not checksum.startswith(pinned_sha256(name)):
                part.unlink()  # whatever it is, the next call must not go on with it
                raise UserError(
                    f"{address}: what came is not {name}: its sha256 begins {checksum[:8]}, not {pinned_sha256(name)}; "
                    "run this again, and look at what the address shows in a browser"
                )
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
    part, state = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.json")
    known = read_json(state)["validator"] if state.is_file() else ""
    done = part.stat().st_size if known and part.is_file() else 0
    # If the server's file is another one now, it sends that from the beginning.
    headers = {"Range": f"bytes={done}-", "If-Range": known} if done else {}
    request = urllib.request.Request(address, headers=headers)
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
        if not done:
            write_json(state, {"validator": _validator(answer.headers)})
        with part.open("ab" if done else "wb") as file:
            tell(done, size)
            while block := answer.read(_BLOCK):
                file.write(block)
                done += len(block)
                tell(done, size)
    if size is not None and done < size:
        raise ConnectionError("the connection was lost; run this again to go on")
    state.unlink(missing_ok=True)
    return part


def _validator(headers: Message) -> str:
    """What tells a server's file from a later one of the same address; "" where the server says nothing of it."""
    tag = headers.get("ETag", "")
    return headers.get("Last-Modified", "") if tag.startswith("W/") or not tag else tag
