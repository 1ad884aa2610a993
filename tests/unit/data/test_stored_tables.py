"""Tables on disk: they carry sig_id, and what is wrong is named."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from moa.data.stored_tables import arrow_table, read_table, write_table
from moa.errors import StoreError
from moa.files import read_json


@pytest.fixture
def oof():
    return pd.DataFrame({"a": [0.1, 0.2], "b": [0.3, 0.4]}, index=pd.Index(["id_1", "id_2"], name="sig_id"))


def test_tables_carry_sig_id_and_say_what_is_wrong(tmp_path, oof):
    write_table(tmp_path / "t.parquet", oof.rename_axis(None))
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), oof)
    (tmp_path / "bad.parquet").write_text("not parquet")
    with pytest.raises(StoreError, match="bad.parquet: damaged"):
        read_table(tmp_path / "bad.parquet")
    with pytest.raises(StoreError, match="none.parquet: not found"):
        read_table(tmp_path / "none.parquet")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(StoreError, match="bad.json: damaged"):
        read_json(tmp_path / "bad.json")


def tables():
    numbers = np.random.default_rng(0).normal(size=(5, 4))
    numbers[1, 2] = np.nan
    ids = pd.Index([f"id_{place}" for place in range(5)], name="sig_id")
    plain = pd.DataFrame(numbers, ids, list("abcd"))
    yield "float64", plain
    yield "float32", plain.astype("float32")
    yield "integers", (plain.fillna(0) * 10).astype(int)
    yield "no row", plain.iloc[:0]
    yield "no column", plain.iloc[:, :0]
    yield "numbers of two types", plain.astype({"a": "float32"})
    yield "text", plain.assign(e="x")
    mixed = plain.assign(e=["x", None, "y", "", "z"], f=range(5), g=plain["a"] > 0).astype({"b": "float32"})
    yield "numbers, text and truth values", mixed[list("eafbgcd")]
    yield "nothing in a column of any object", plain.assign(e=None, f=pd.Series([1, None] * 2, dtype="Int64"))
    yield "categories and times", plain.assign(e=pd.Categorical(list("ababa")), f=pd.Timestamp(0))
    yield "truth values", plain > 0
    yield "ids of any object", plain.set_axis(ids.astype(object))
    yield "numbers for ids", plain.reset_index(drop=True).rename_axis("sig_id")
    yield "named columns", plain.rename_axis(columns="target")
    yield "numbers for names", plain.set_axis(range(4), axis=1)
    yield "names of any object", plain.set_axis(plain.columns.astype(object), axis=1)
    noted = plain.copy()
    noted.attrs["source"] = "a plate"
    yield "attributes", noted


@pytest.mark.parametrize(("kind", "table"), list(tables()), ids=lambda value: value if isinstance(value, str) else "")
def test_tables_are_written_as_pandas_writes_them(kind, table, tmp_path):
    write_table(tmp_path / "ours.parquet", table)
    table.to_parquet(tmp_path / "theirs.parquet", use_dictionary=False)
    assert (tmp_path / "ours.parquet").read_bytes() == (tmp_path / "theirs.parquet").read_bytes(), kind
    theirs = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    assert arrow_table(table).equals(theirs, check_metadata=True), kind


def test_a_name_that_is_there_twice_is_refused_as_by_pandas(oof):
    with pytest.raises(ValueError, match="Duplicate column names"):
        arrow_table(oof.set_axis(["a", "a"], axis=1))
