"""Fitted transformers on disk: shared by what they were fitted on, and nothing untrusted is read."""

import json

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.preprocessing import FunctionTransformer

from moa.errors import StoreError
from moa.features import GaussianRank, OneHotConditions
from moa.features.reductions import factor_analysis
from moa.weights.fitted_transformers import SharedFits, dump, same

EVIL, TORN, GONE = "e" * 20, "a" * 20, "0" * 20


def test_the_second_model_reads_the_first_ones_fit(tmp_path, monkeypatch):
    x = np.random.default_rng(0).normal(size=(50, 4))
    first, key = SharedFits(tmp_path).fit(PCA(2), x)
    monkeypatch.setattr(PCA, "fit", lambda *a: pytest.fail("fitted again"))
    second, same = SharedFits(tmp_path).fit(PCA(2), x.copy())
    assert same == key and np.array_equal(first.transform(x), second.transform(x))


def test_another_fit_has_another_key(tmp_path):
    x = np.random.default_rng(0).normal(size=(50, 4))
    fits = SharedFits(tmp_path)
    y = np.arange(50) % 2
    keys = {
        fits.fit(PCA(2), x)[1],
        fits.fit(PCA(3), x)[1],
        fits.fit(PCA(2), x + 1)[1],
        fits.fit(PCA(2), x[:, ::-1])[1],
        fits.fit(PCA(2), x, y)[1],
        fits.fit(GaussianRank(), x)[1],
    }
    assert len(keys) == 6


def test_a_fit_of_an_untrusted_type_or_a_damaged_one_is_refused(tmp_path):
    import hashlib

    payload = skops.io.dumps(FunctionTransformer(json.loads))
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / f"{EVIL}.skops").write_bytes(hashlib.sha256(payload).digest() + payload)
    with pytest.raises(StoreError, match="not trusted.*json"):
        SharedFits(tmp_path).load(EVIL)
    (tmp_path / "shared" / f"{TORN}.skops").write_bytes(payload[:40])
    with pytest.raises(StoreError, match=f"{TORN}.skops: damaged"):
        SharedFits(tmp_path).load(TORN)
    with pytest.raises(StoreError, match=f"{GONE}.fit: missing"):
        SharedFits(tmp_path).load(GONE)


def test_levels_that_differ_after_the_sixteenth_character_have_fits_of_their_own(tmp_path):
    fits = SharedFits(tmp_path)
    names = ["dimethyl sulfoxide, 24 hours", "dimethyl sulfoxide, 48 hours"]
    encoder = OneHotConditions({"medium": tuple(names)})
    keys = {fits.fit(encoder, pd.DataFrame({"medium": [name] * 3, "dose": 1.0}))[1] for name in names}
    assert len(keys) == 2


def test_text_and_numbers_of_a_frame_are_distinguished(tmp_path):
    fits = SharedFits(tmp_path)
    encoder = OneHotConditions({"a": ("1", 1)})
    frames = [pd.DataFrame({"a": ["1", "1"]}), pd.DataFrame({"a": [1, 1]}), pd.DataFrame({"a": ["1", "1"], "b": 1.0})]
    assert len({fits.fit(encoder, frame)[1] for frame in frames}) == 3


@pytest.fixture
def older(tmp_path):
    """A fit as it was stored until version 0.3, scikit-learn's own object in a skops file: rows, fit, key and file."""
    x = np.random.default_rng(0).normal(size=(50, 4))
    folder = SharedFits(tmp_path / "older")
    fitted, key = folder.fit(FactorAnalysis(2, random_state=0), x)
    assert [path.name for path in (tmp_path / "older" / "shared").iterdir()] == [f"{key}.skops"]
    return x, fitted, key, folder.path(key)


def test_a_fit_of_before_is_used_again_by_what_it_was_fitted_on(older, tmp_path):
    x, fitted, key, path = older
    again, same_key = SharedFits(tmp_path / "older").fit(factor_analysis(2, 0), x)
    assert same_key == key and type(again) is FactorAnalysis and list(path.parent.iterdir()) == [path]
    new, new_key = SharedFits(tmp_path / "new").fit(factor_analysis(2, 0), x)
    assert new_key == key and [each.suffix for each in (tmp_path / "new" / "shared").iterdir()] == [".fit"]
    assert new.transform(x).tobytes() == again.transform(x).tobytes() == fitted.transform(x).tobytes()


def test_the_same_fit_is_recognised_in_both_forms(older, tmp_path):
    x, _, _, path = older
    found = {}
    for name, values in (("equal", x), ("other", x + np.arange(4))):
        folder = SharedFits(tmp_path / name)
        found[name] = folder.path(folder.fit(factor_analysis(2, 0), values)[1])
    assert same(path, found["equal"]) and same(found["equal"], path) and same(found["equal"], found["equal"])
    assert not same(path, found["other"]) and not same(found["other"], found["equal"])


def test_what_is_not_plain_goes_into_a_skops_file():
    fitted = GaussianRank().fit(np.eye(5))
    assert dump(fitted)[1] == dump({"fit-0": fitted})[1] == ".fit"
    fitted.random_state = np.random.RandomState(0)
    assert dump(fitted)[1] == dump({"fit-0": GaussianRank(), "fit-1": PCA(2)})[1] == ".skops"
