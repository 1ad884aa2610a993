"""Weights folders compared file by file."""

from moa.files import read_json
from moa.weights.fitted_transformers import array_hashes
from moa.weights.layout import SKOPS


def files(folder):
    """What must be equal in two folders that were trained alike, by the path of each file.

    Skops files number their objects anew each time, and seconds differ.
    """
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or path.name == "seconds.json":
            continue
        if path.suffix == SKOPS:
            found[name] = array_hashes(path)
        elif path.name == "unit.json":
            facts = read_json(path) | {"seconds": 0}
            facts["sha256"].pop("features.skops", None)
            found[name] = facts
        else:
            found[name] = path.read_bytes()
    return found


def units(folder):
    """When each finished unit of a folder was written, by its path; folders that are being written have other names."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("fold-*/unit.json")}
