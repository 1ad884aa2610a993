"""Files written whole or not at all, JSON, and digests."""

import numpy as np
import pytest

from moa.errors import StoreError
from moa.files import create_json, creating, digest, read_json, replacing, write_json
from moa.weights.store import ModelStore


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"n": np.int64(1)})

    def stopped_halfway():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stopped_halfway()
    assert read_json(path) == {"n": 1} and list(tmp_path.iterdir()) == [path]


def test_digest_sees_shape_type_and_value():
    x = np.arange(6.0)
    assert len({digest(x), digest(x.reshape(2, 3)), digest(x.astype(np.float32)), digest(x + 1), digest([1, 2])}) == 5
    assert digest(x) == digest(x.copy())


def test_the_first_of_two_writers_wins(tmp_path):
    path = tmp_path / "a.json"
    with creating(path) as temporary:
        temporary.write_text('"mine"')
        assert create_json(path, "theirs") == "theirs"
    assert read_json(path) == create_json(path, "later") == "theirs" and list(tmp_path.iterdir()) == [path]
    store = ModelStore(tmp_path, "model")
    with pytest.raises(StoreError, match="other settings"):
        store.claim(store.claim({"settings": {"n": 1}}) or {"settings": {"n": 2}})


def test_json_is_read_to_a_depth_that_no_file_of_ours_has(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[NaN, Infinity, 12345678901234567890123, "\\u00e9"]')
    found = read_json(path)
    assert np.isnan(found[0]) and found[1] == float("inf") and found[2:] == [12345678901234567890123, "é"]
    for raw in (b"[" * 200_000, b"[" * 300 + b"]" * 300, b"\xff", b"", b'{"a": 1,}'):
        path.write_bytes(raw)
        with pytest.raises(StoreError, match="a.json: damaged .not JSON: ") as caught:
            read_json(path)
        assert "\n" not in str(caught.value)
