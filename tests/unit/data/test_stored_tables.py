"""Tables on disk: they carry sig_id, and what is wrong is named."""

import pandas as pd
import pytest

from moa.data.stored_tables import read_table, write_table
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
