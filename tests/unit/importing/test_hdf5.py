"""HDF5 files from strangers: nothing outside of the file is read, nothing runs without end, and damage is one line."""

import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest

from moa.errors import UserError
from moa.importing import hdf5
from moa.importing.hdf5 import Hdf5File, opened
from moa.importing.source import Source
from support.assays import cell_painting, write_h5ad


@pytest.fixture
def screen():
    return cell_painting(wells=24, features=9, compounds=4)


@pytest.fixture
def refused(tmp_path, screen, read):
    """Change a file; its reading is refused in one line, which is returned."""

    def refused(edit):
        path = write_h5ad(tmp_path / "screen.h5ad", screen.values, screen.wells)
        with h5py.File(path, "a") as file:
            edit(file)
        with pytest.raises(UserError) as caught:
            read(path)
        assert "\n" not in str(caught.value) and str(caught.value).startswith("screen.h5ad: ")
        return str(caught.value)

    return refused


def put(name, make):
    def edit(file):
        del file[name]
        make(file, name)

    return edit


def virtual(file, name):
    layout = h5py.VirtualLayout((24, 9), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "X", (24, 9))
    file.create_virtual_dataset(name, layout)


def test_what_leads_out_of_the_file_is_refused(tmp_path, screen, refused):
    write_h5ad(tmp_path / "other.h5", screen.values, screen.wells)
    (tmp_path / "values.bin").write_bytes(bytes(24 * 9 * 4))
    other = str(tmp_path / "other.h5")
    cases = {
        "'X': a link to another file": put(
            "X", lambda file, name: file.__setitem__(name, h5py.ExternalLink(other, "X"))
        ),
        "'uns/x': a link to another file": lambda file: file.__setitem__("uns/x", h5py.ExternalLink(other, "X")),
        "'X': a virtual array": put("X", virtual),
        "'X': an array whose values lie in another file": put(
            "X",
            lambda file, name: file.create_dataset(
                name, (24, 9), "f4", external=[(str(tmp_path / "values.bin"), 0, 864)]
            ),
        ),
        "'X': a link that leads to nothing": put("X", lambda file, name: file.__setitem__(name, h5py.SoftLink("/no"))),
        "'uns/root': a group that contains itself": lambda file: file.create_group("uns").__setitem__(
            "root", file["/"]
        ),
    }
    for message, edit in cases.items():
        assert message in refused(edit)


def test_sizes_without_values_are_refused(refused):
    packed = {"dtype": "f4", "chunks": (1000, 1000), "compression": "gzip"}
    bomb = put("X", lambda file, name: file.create_dataset(name, (10**5, 10**5), **packed))
    assert "'X' has the shape (100000, 100000); expected (24, 9)" in refused(bomb)
    names = put(
        "obs/Metadata_Plate", lambda file, name: file.create_dataset(name, (10**9,), **packed | {"chunks": (10**6,)})
    )
    assert "'obs/Metadata_Plate' declares 4.0 GB of values and holds 0 bytes" in refused(names)


def test_an_endless_file_is_ended_and_named(refused, monkeypatch, tmp_path):
    """As the library was seen to do on a damaged file, the process neither answers nor sees signals."""
    text = Path(hdf5.hdf5_process.__file__).read_text(encoding="utf-8")
    start = "def _described(item: Any, place: str) -> dict[str, Any]:\n"
    assert start in text
    endless = text.replace(
        start, start + "    signal.pthread_sigmask(signal.SIG_BLOCK, [2, 15])\n    while True: pass\n"
    )
    (tmp_path / "endless.py").write_text(endless, encoding="utf-8")
    monkeypatch.setattr(hdf5.hdf5_process, "__file__", str(tmp_path / "endless.py"))
    monkeypatch.setattr(hdf5, "_SECONDS", 0.5)
    assert "damaged or cut short at 'X' (reading it does not end)" in refused(lambda file: None)


def test_ctrl_c_ends_the_reading_process_at_once(tmp_path, screen, monkeypatch):
    path = write_h5ad(tmp_path / "screen.h5ad", screen.values, screen.wells)
    (tmp_path / "sleeping.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(hdf5.hdf5_process, "__file__", str(tmp_path / "sleeping.py"))
    begun, closed = [], []
    monkeypatch.setattr(Hdf5File, "close", lambda self, close=Hdf5File.close: (closed.append(self), close(self)))
    monkeypatch.setattr(
        hdf5.subprocess, "Popen", lambda *a, p=hdf5.subprocess.Popen, **k: begun.append(p(*a, **k)) or begun[0]
    )

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            opened(Source(path))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert closed and begun[0].returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(begun[0].pid, 0)


def test_a_crash_of_the_library_is_one_line(refused, monkeypatch, tmp_path):
    text = Path(hdf5.hdf5_process.__file__).read_text(encoding="utf-8")
    (tmp_path / "crash.py").write_text(
        text.replace("    file = h5py.File(", "    os.abort()\n    file = h5py.File(").replace(
            "import json\n", "import json\nimport os\n"
        )
    )
    monkeypatch.setattr(hdf5.hdf5_process, "__file__", str(tmp_path / "crash.py"))
    assert "(the HDF5 library failed on it)" in refused(lambda file: None)


def test_texts_of_any_encoding(tmp_path):
    with h5py.File(tmp_path / "texts.h5", "w") as file:
        file["utf-8"] = ["10 µM", "β"]
        file["latin-1"] = np.array([b"10 \xb5M", b"x\x00\x00"])
        file["empty"] = np.array([], "S3")
        file[b"\xb5 of a name"] = np.array([1, 2])
        file["records"] = np.array([(b"a", 1.5), (b"\xb5", 2)], [("name", "S3"), ("value", "f4")])
    source = Source(tmp_path / "texts.h5")
    file = opened(source)
    assert (
        file.texts("utf-8") == ["10 µM", "β"] and file.texts("latin-1") == ["10 µM", "x"] and file.texts("empty") == []
    )
    assert file.texts("records", "name") == ["a", "µ"] and file.texts("records", "value").tolist() == [1.5, 2]
    assert {hdf5.name_of(name) for name in file.members("")} >= {"µ of a name"}
    source.close()


def test_values_are_those_of_the_file_in_blocks_of_any_size(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    arrays = {f"{kind}": random.normal(scale=100, size=(101, 37)).astype(kind) for kind in ("<f4", ">f8", "i2", "?")}
    with h5py.File(tmp_path / "values.h5", "w") as file:
        for name, values in arrays.items():
            file.create_dataset(f"{name}/plain", data=values)
            file.create_dataset(f"{name}/packed", data=values, chunks=(10, 37), compression="gzip")
    for block in (1, 5000, 1 << 24):
        monkeypatch.setattr(hdf5, "_BLOCK", block)
        source = Source(tmp_path / "values.h5")
        for name, values in arrays.items():
            for part in ("plain", "packed"):
                np.testing.assert_array_equal(opened(source).numbers(f"{name}/{part}"), values)
            chosen = np.array([3, 36, 0])
            np.testing.assert_array_equal(opened(source).numbers(f"{name}/plain", chosen), values[:, chosen])
        source.close()


def test_columns_with_a_mask_and_categories_of_them(tmp_path, screen, read):
    """As anndata 0.13 writes text with missing values."""
    path = write_h5ad(tmp_path / "screen.h5ad", screen.values, screen.wells)
    plain = read(path)
    with h5py.File(path, "a") as file:
        for name in ("obs/_index", "obs/Metadata_moa/categories"):
            texts = file[name][:]
            del file[name]
            file[f"{name}/values"], file[f"{name}/mask"] = texts, np.zeros(len(texts), bool)
            file[name].attrs["encoding-type"] = "nullable-string-array"
        file["obs/Metadata_moa/categories/mask"][0] = True
    masked = read(path)
    assert masked.values.equals(plain.values)
    first = plain.wells["Metadata_moa"].dropna().min()
    expected = plain.wells["Metadata_moa"].mask(plain.wells["Metadata_moa"] == first)
    assert masked.wells["Metadata_moa"].fillna("").tolist() == expected.fillna("").tolist()
