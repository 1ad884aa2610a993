"""Parquet tables whose texts are none, as a flipped bit makes them: one line each."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from moa.data.assay import Assay
from moa.data.dataset import read_features
from moa.data.parts import parse_part, read_parts
from moa.errors import DataError

SCHEMA = Assay.model_validate({"name": "x", "groups": {"a": {"columns": ["f"]}}})


@pytest.fixture
def damaged(tmp_path):
    path = tmp_path / "features.parquet"
    ids = _text([b"a", b"\xec\x28"])
    pyarrow.parquet.write_table(pa.table({"sig_id": ids, "f": [1.0, 2.0]}), path)
    return path


def _text(values):
    """Text of any bytes, which pyarrow does not check where it is made of buffers."""
    array = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(values), array.buffers())


def test_of_a_data_folder(damaged):
    with pytest.raises(DataError, match="features.parquet: a parquet file that is damaged or cut short") as caught:
        read_features(damaged, SCHEMA)
    assert len(caught.value.problems) == 1 and "\n" not in caught.value.problems[0]


def test_in_parts(damaged):
    (part,) = read_parts(damaged, 10)
    parsed = parse_part(part, damaged.name, SCHEMA)
    assert parsed.rows is None and len(parsed.problems) == 1
    assert parsed.problems[0].startswith("features.parquet: from row 1: damaged (") and parsed.problems[0].isprintable()


def test_the_undamaged_is_read(tmp_path):
    pd.DataFrame({"sig_id": ["a", "b"], "f": [1.0, 2.0]}).to_parquet(tmp_path / "features.parquet")
    assert read_features(tmp_path / "features.parquet", SCHEMA)["f"].tolist() == [1, 2]
