"""Read an HDF5 file for another process, which can end this one at any moment: ``moa.importing.hdf5`` runs it.

A damaged file, or one made to do harm, can keep the HDF5 library busy without end, crash it, or make it ask for any
amount of memory; Python sees no signal meanwhile. Here this costs a process with limits of its own. Requests are lines
of JSON on standard input. An answer is a line of JSON on standard output, followed by as many bytes as it says. Lines
before it say which object is looked at, so that the other process can name it if there is no answer.

Only numpy and h5py are imported, from the folders that the other process names, so that it starts within 0.2 s.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from typing import Any

#: More objects than this are no plate.
_MOST_OBJECTS = 50_000
#: Attributes that the formats use.
_ATTRIBUTES = ("encoding-type", "_index", "shape", "h5sparse_format", "h5sparse_shape", "categories")
#: Characters of an attribute, and numbers in one.
_MOST_TEXT, _MOST_NUMBERS = 1000, 16


class Refused(Exception):
    """What is wrong with the file, and where."""

    def __init__(self, place: str, reason: str):
        super().__init__(place, reason)
        self.answer = {"place": place, "reason": reason, "refused": True}


def main() -> None:
    """Answer requests until standard input ends."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    file: Any = None
    for line in requests:
        request = json.loads(line)
        blocks: list[bytes | memoryview] = []
        try:
            if request["do"] == "open":
                file, answer = _open(request)
            else:
                _limit_seconds(request["seconds"])
                answer, blocks = _values(file, request)
        except Refused as refused:
            answer = refused.answer
        except MemoryError:
            answer = {"reason": "it asks for more memory than such a file needs"}
        except Exception as error:  # h5py raises many types of error for damaged files
            answer = {"reason": " ".join(str(error).strip("'\"").split())[:200] or type(error).__name__}
        _limit_seconds(0)
        answers.write(json.dumps(answer | {"bytes": [len(block) for block in blocks]}).encode() + b"\n")
        answers.writelines(blocks)
        answers.flush()


def _limit_seconds(seconds: float) -> None:
    """End this process after so many seconds of processor time, also inside of the library; 0: no longer."""
    if hasattr(signal, "ITIMER_PROF"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _open(request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Open the file and describe all of it."""
    sys.path[:] = request["path"]
    try:
        import h5py
    except ImportError:
        return None, {"place": "", "reason": "", "lacks": "h5py"}
    _limit_memory(request["memory"])
    _limit_seconds(request["seconds"])  # what was imported does not count
    file = h5py.File(request["file"], "r", rdcc_nbytes=request["cache"])
    items: dict[str, dict[str, Any]] = {"": {"attributes": _attributes(file, "")}}
    for place, item in _walk(file, "", ()):
        items[place] = item
        _limit_seconds(request["seconds"])  # for each object anew
        if len(items) > _MOST_OBJECTS:
            raise Refused(place, f"it holds more than {_MOST_OBJECTS:,} objects")
    return file, {"items": items}


def _limit_memory(size: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    size = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_AS, (size, hard))


def _walk(group: Any, above: str, parents: tuple[Any, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object below a group, with its place; what leads out of the file is refused."""
    import h5py

    address = h5py.h5o.get_info(group.id).addr
    if address in parents:
        raise Refused(above, "a group that contains itself")
    for found in group:
        raw = found if isinstance(found, bytes) else found.encode("utf-8", "surrogateescape")  # names may be no UTF-8
        name = raw.decode("utf-8", "surrogateescape")
        place = f"{above}/{name}" if above else name
        sys.stdout.buffer.write(json.dumps({"at": place}).encode() + b"\n")
        sys.stdout.buffer.flush()
        link = group.id.links.get_info(raw).type
        if link == h5py.h5l.TYPE_EXTERNAL:
            raise Refused(place, "a link to another file, which is not followed; copy its content into this file")
        if link not in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT):
            raise Refused(place, "a link of a kind that is not followed")
        try:
            item = group[raw]
        except KeyError:
            raise Refused(place, "a link that leads to nothing; remove it or repair it") from None
        if isinstance(item, h5py.Group):
            yield place, {"attributes": _attributes(item, place)}
            yield from _walk(item, place, (*parents, address))
        elif isinstance(item, h5py.Dataset):
            yield place, _described(item, place)


def _described(item: Any, place: str) -> dict[str, Any]:
    """What is known of an array without reading it."""
    import h5py

    layout = item.id.get_create_plist()
    if layout.get_layout() == h5py.h5d.VIRTUAL:
        raise Refused(place, "a virtual array, whose values lie in other files; copy them into this file")
    if layout.get_external_count():
        raise Refused(place, "an array whose values lie in another file; copy them into this file")
    try:
        kind, fields = _kind(item.dtype), None
        size = item.dtype.itemsize
        if item.dtype.names:
            fields = {name: _kind(item.dtype[name]) for name in item.dtype.names}
    except TypeError:  # a type that numpy does not have
        kind, fields, size = "other", None, 1
    return {
        "shape": None if item.shape is None else list(item.shape),
        "kind": kind,
        "fields": fields,
        "size": size,
        "stored": item.id.get_storage_size(),
        "chunk": item.chunks,
        "attributes": _attributes(item, place),
    }


def _kind(dtype: Any) -> str:
    """The type of an array: text, other (which is not read), or the name of a type of numbers."""
    import h5py

    if dtype.kind == "S" or h5py.check_string_dtype(dtype):
        return "text"
    return dtype.str if dtype.kind in "fiub" and dtype.shape == () else "other"


def _attributes(item: Any, place: str) -> dict[str, Any]:
    import h5py
    import numpy as np

    found: dict[str, Any] = {}
    for name in _ATTRIBUTES:
        if name not in item.attrs:
            continue
        value = item.attrs[name]
        if isinstance(value, h5py.Reference):
            target = h5py.h5r.get_name(value, item.id) if value else None
            if target is None:
                raise Refused(place, f"its attribute '{name}' refers to nothing")
            found[name] = {"refers": target.decode("utf-8", "surrogateescape").strip("/")}
            continue
        values = np.asarray(value).ravel()[:_MOST_NUMBERS].tolist()
        if all(isinstance(each, int | float) for each in values):
            found[name] = values
        else:
            text = values[0] if values else ""
            found[name] = (text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text))[:_MOST_TEXT]
    return found


def _values(file: Any, request: dict[str, Any]) -> tuple[dict[str, Any], list[bytes | memoryview]]:
    """Values of an array: numbers as they lie in memory, texts as their lengths and their bytes one after another."""
    import numpy as np

    item = file[request["place"].encode("utf-8", "surrogateescape")]
    rows = slice(request["first"], request["last"]) if item.shape else ()
    values = np.asarray(item.fields(request["field"])[rows] if request["field"] else item[rows])
    if _kind(values.dtype) != "text":
        flat = np.ascontiguousarray(values).reshape(-1)
        return {"shape": list(values.shape)}, [flat.view(np.uint8).data if flat.size else b""]
    texts = [
        each if isinstance(each, bytes) else str(each).encode("utf-8", "surrogateescape")
        for each in values.ravel().tolist()
    ]
    return {"shape": list(values.shape)}, [np.array([len(each) for each in texts], "<i8").tobytes(), b"".join(texts)]


if __name__ == "__main__":
    main()
