"""Random damage to a file of any format ends in a folder that passes the check, or in one line."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moa.data.check_folder import check_folder
from moa.errors import DataError, UserError
from moa.importing.import_plates import import_plates
from moa.importing.options import ImportOptions
from support.mutations import mutated, mutated_folder, write_files


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("files"))


FORMATS = ("gct", "gctx", "csv", "parquet", "new.h5ad", "old.h5ad", "records.h5ad", "packed.h5ad", "csv.gz", "gctx.gz")


def imported(path, out):
    """Import a file and check the folder; False where it is refused in one line, with nothing left."""
    refused, started = None, time.process_time()
    try:
        import_plates([path], out, ImportOptions(level="auto" if "gct" in path.name else "raw"))
    except UserError as error:
        refused = str(error)
    assert time.process_time() - started < 10
    if refused is None:
        return bool(check_folder(out))
    assert refused.isprintable() and not list(out.parent.glob("*out*"))
    return False


def test_every_format_is_imported_undamaged(files, tmp_path):
    assert set(files) == set(FORMATS)
    for name, path in files.items():
        assert imported(path, tmp_path / name / "out")


@pytest.mark.parametrize("name", FORMATS)
def test_random_damage(files, tmp_path_factory, name):
    slow = "h5ad" in name or "gctx" in name  # each file starts a process

    @settings(max_examples=10 if slow else 40)
    @given(st.integers(0, 2**32))
    def damage(seed):
        folder = tmp_path_factory.mktemp("damaged")
        mutated(files[name], folder / files[name].name, seed)
        imported(folder / files[name].name, folder / "out")

    damage()


def test_damage_to_a_folder_is_found(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported") / "out"
    assert imported(files["csv"], folder)

    @given(st.integers(0, 2**32))
    def damage(seed):
        target = tmp_path_factory.mktemp("damaged") / "out"
        what = mutated_folder(folder, target, seed)
        with pytest.raises(DataError, match=what.partition(":")[0]):
            check_folder(target)

    damage()
