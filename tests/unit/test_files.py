"""Files written whole or not at all, JSON, and digests."""

import numpy as np
import pytest

from moa.errors import StoreError
from moa.files import create_json, creating, digest, read_json, replacing, write_json
from moa.training.store import ModelStore


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"n": np.int64(1)})
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
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
