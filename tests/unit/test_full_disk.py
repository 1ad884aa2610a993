"""A full disk and a folder that cannot be written: one line says so, whatever library was writing."""

import ast
import errno
import json
import os
import pickle
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from matplotlib.figure import Figure

from moa.blending.submission import write_submission
from moa.data.stored_tables import write_table
from moa.errors import DataError, UserError, WriteError
from moa.files import (
    create_json,
    creating,
    ensure_writable,
    replacing,
    replacing_folder,
    write_json,
    write_problem,
    writing,
)
from support import ROOT

TABLE = pd.DataFrame(
    np.random.default_rng(0).random((100, 60), np.float32),
    pd.Index([f"id_{i}" for i in range(100)], name="sig_id"),
    [f"t-{i}" for i in range(60)],
)
NUMBERS = list(range(5000))


def unit(path):
    with replacing_folder(path, 40_000) as temporary:
        safetensors.torch.save_file({"w": torch.ones(10_000)}, temporary / "weights.safetensors")


def unit_facts(path):
    with replacing_folder(path) as temporary:
        write_json(temporary / "unit.json", NUMBERS)


def picture(path):
    with replacing(path) as temporary:
        figure = Figure()
        figure.subplots().imshow(np.random.default_rng(0).random((200, 200)))
        figure.savefig(temporary, format="png")


def first(path):
    with creating(path) as temporary:
        temporary.write_bytes(b"x" * 20_000)


def copies(path):
    with writing(path):
        shutil.copytree(ROOT / "final" / "moa" / "training", path / "copies")


WRITERS = {
    "parquet": lambda path: write_table(path, TABLE),
    "csv": lambda path: write_submission(TABLE, path),
    "json": lambda path: write_json(path, NUMBERS),
    "json of the first": lambda path: create_json(path, NUMBERS),
    "fits": first,
    "weights": unit,
    "facts of a unit": unit_facts,
    "picture": picture,
    "copies": copies,
}


@pytest.fixture
def small_disk():
    """No file may grow above 4 kB: the operating system refuses it, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_one_line_with_the_room_that_is_needed(kind, tmp_path, small_disk):
    path = tmp_path / "folder" / "result"
    with pytest.raises(WriteError) as caught:
        WRITERS[kind](path)
    error = caught.value
    assert str(error).startswith(f"{path}: cannot be written, the file is too large for this disk (")
    assert "needed); what was there before is kept; make room" in str(error) and "\n" not in str(error)
    assert error.needed >= 4096 and error.free > 0 and error.errno == errno.EFBIG and error.path == path
    if kind != "copies":
        assert not list(path.parent.iterdir()), "nothing is left behind"


def test_what_was_there_is_kept(tmp_path, small_disk):
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(WriteError):
        write_json(path, NUMBERS)
    assert json.loads(path.read_text()) == 1 and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_read_only_folder_is_one_line(kind, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(tmp_path))

    for place in ("tempfile.mkstemp", "tempfile.mkdtemp", "shutil.copytree"):
        monkeypatch.setattr(place, refuse)
    with pytest.raises(WriteError, match="result: cannot be written, the file system is read-only; .* give a folder"):
        WRITERS[kind](tmp_path / "result")


@pytest.mark.parametrize(
    "text",
    [
        "Error while serializing: I/O error: No space left on device (os error 28)",
        "[('a', 'b', \"[Errno 28] No space left on device: 'b'\")]",
        "Unable to synchronously flush file (file write failed: errno = 28, error message = 'No space left')",
    ],
)
def test_libraries_that_have_errors_of_their_own_are_understood(text):
    assert write_problem(RuntimeError(text)) == errno.ENOSPC


def test_other_errors_are_passed_on(tmp_path):
    for error in (ValueError("errno"), FileNotFoundError(errno.ENOENT, "gone"), RuntimeError("os error 2")):
        with pytest.raises(type(error)) as caught, replacing(tmp_path / "a"):
            raise error
        assert caught.value is error and write_problem(error) is None


def test_a_folder_is_looked_at_before_the_work(tmp_path, monkeypatch):
    ensure_writable(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="file is not a folder"):
        ensure_writable(tmp_path / "file" / "b")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(WriteError, match="writing there is not allowed; .* give a folder"):
        ensure_writable(tmp_path / "a")


def test_errors_come_back_whole_from_another_process():
    error = WriteError("a/b", "no room", 3_000_000, 20, True, "all is kept", errno.ENOSPC).during("2 of 9 are kept", 7)
    back = pickle.loads(pickle.dumps(error))
    assert str(back) == str(error) and (back.needed, back.errno) == (21_000_000, errno.ENOSPC)
    assert "20 bytes free, more than 21.0 MB needed); 2 of 9 are kept; make room" in str(back)
    assert isinstance(back, UserError) and isinstance(back, OSError)
    data = pickle.loads(pickle.dumps(DataError(["one", "two"])))
    assert data.problems == ["one", "two"] and str(data) == str(DataError(["one", "two"]))


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 64 kB in memory, where mounting one is allowed."""
    mount, umount, folder = shutil.which("mount"), shutil.which("umount"), tmp_path / "disk"
    folder.mkdir()
    command = [mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
    if not (mount and umount) or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a disk in memory is not allowed here")
    yield folder
    subprocess.run([umount, folder], check=True)


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "parquet"])
def test_a_disk_that_is_really_full(kind, tiny_disk):
    (tiny_disk / "full").write_bytes(b"x" * 60 * 1024)
    with pytest.raises(WriteError, match="no space is left on the disk"):
        WRITERS[kind](tiny_disk / "folder" / "result")


#: Calls that write, by the name of the function or method.
WRITES = {
    "write_text",
    "write_bytes",
    "to_csv",
    "to_parquet",
    "savefig",
    "save_file",
    "copyfile",
    "copytree",
    "writestr",
}
CONTEXTS = {"replacing", "replacing_folder", "exchanging_folder", "creating", "writing", "_temporary_file"}
#: Where something is written without: file and function, with the reason.
ELSEWHERE = {
    ("importing/folder.py", "_write_features"): "called within `replacing_folder`",
    ("kaggle/package.py", None): "called within `writing` by the command",
    ("weights/merge.py", "link_or_copy"): "called within `replacing_folder` and `writing`",
    ("reporting/page.py", "svg"): "into memory",
    ("weights/fitted_arrays.py", "pack"): "into memory",
    ("cli/score.py", "score"): "to standard output",
}


def _guarded(node):
    """Whether a call to one of the contexts is part of an expression."""
    calls = (each for each in ast.walk(node) if isinstance(each, ast.Call))
    return any(getattr(call.func, "id", None) in CONTEXTS for call in calls)


def _opens(node):
    modes = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return any(len(mode) < 4 and set(mode) & set("wax+") for mode in modes)


def _writers(tree, function=None, guarded=False):
    """Calls that write, with the function they are in, and whether a context tells what could not be written."""
    for node in ast.iter_child_nodes(tree):
        name = node.name if isinstance(node, ast.FunctionDef) else function
        inside = guarded or (isinstance(node, ast.With) and any(_guarded(item.context_expr) for item in node.items))
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", None))
            if called in WRITES or (called == "open" and _opens(node)):
                yield node.lineno, name, inside or _guarded(node.func)
        yield from _writers(node, name, inside)


def test_every_writer_of_the_package_tells_what_could_not_be_written():
    package, found = ROOT / "final" / "moa", []
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        for line, function, guarded in _writers(ast.parse(path.read_text(encoding="utf-8"))):
            if not guarded and not {(name, function), (name, None)} & ELSEWHERE.keys():
                found.append(f"{name}:{line} in {function}")
    assert not found, "write within moa.files.replacing or writing"


def test_the_search_for_writers_finds_them():
    source = """
def bad(path):
    path.write_text("x")
def good(path):
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(b"x")
def read(path):
    return path.open("rb")
"""
    assert [(name, inside) for _, name, inside in _writers(ast.parse(source))] == [("bad", False), ("good", True)]
