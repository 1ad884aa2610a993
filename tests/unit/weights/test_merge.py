"""Merging folders of weights: what is damaged is refused, and nothing of it is taken."""

import pytest

from moa.errors import StoreError
from moa.files import read_json, write_json
from moa.weights.layout import WeightsFolder
from moa.weights.merge import merge_weights
from support.stored import unpack_store

MODEL = "two-heads"


@pytest.fixture
def store(tmp_path):
    return unpack_store(tmp_path)


@pytest.fixture
def unit(store):
    """The folder of a unit."""
    return next(store.glob(f"{MODEL}/*/seed-*/fold-*"))


def refused(store, match):
    merged = store.with_name("merged")
    with pytest.raises(StoreError, match=match):
        merge_weights([store], merged, models=[MODEL])
    assert not list(merged.glob("*/*/seed-*/fold-*/unit.json"))


def test_a_folder_is_taken_whole(store):
    merged = store.with_name("merged")
    merge_weights([store], merged, models=[MODEL])
    assert WeightsFolder(merged).models() == [MODEL]
    for path in store.glob(f"{MODEL}/*/seed-*/fold-*/*"):
        assert (merged / path.relative_to(store)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["weights.safetensors", "oof.parquet"])
def test_a_damaged_file_is_refused(name, store, unit):
    (unit / name).write_bytes((unit / name).read_bytes()[:-1] + b"?")
    refused(store, f"{name}: missing or damaged .checksum differs.; copy this unit again")


@pytest.mark.parametrize("name", ["weights.safetensors", "oof.parquet"])
def test_a_file_that_is_missing_is_refused(name, store, unit):
    (unit / name).unlink()
    refused(store, f"{name}: missing or damaged")


def test_a_unit_without_a_checksum_is_refused(store, unit):
    facts = read_json(unit / "unit.json")
    del facts["sha256"]["oof.parquet"]
    write_json(unit / "unit.json", facts)
    refused(store, "lacks the checksum of oof.parquet")
