"""An ablation trains what is missing, continues where it stopped, and writes one table."""

import pandas as pd
import pytest

from moa.environment import Folders
from moa.jobs.ablation import run_ablations
from moa.jobs.options import UnitOptions
from moa.jobs.writeup_claims import ablation
from moa.metrics.losses import log_loss
from moa.weights.trained import open_trained
from support.demo import copy_models


def test_one_command_trains_what_is_missing_and_writes_one_table(weights_of, data_dir, dataset, tmp_path):
    weights = weights_of("three-stage-nn-5fold")
    copy_models(weights, tmp_path / "weights")
    where = Folders.find("demo", data_dir)
    options = [ablation("stages")], where, tmp_path, weights, UnitOptions(seeds=1, folds=1, device="cpu")
    table = run_ablations(*options)
    assert list(table["variant"]) == ["stage 3, the whole model", "stage 2", "stage 2 without stage 1"]

    store = open_trained("three-stage-nn-5fold", weights).store
    third, second = (store.load_oof(stage, 0, 0) for stage in ("stage3", "stage2"))
    # Stages have folds of their own: the first fold alone counts, of the base too, where it is stage 2's as well.
    shared = third.index.intersection(second.index)
    assert 0 < len(shared) < len(third) and (table["rows"] == len(shared)).all()
    for row, oof in enumerate((third, second)):
        assert table["log_loss"][row] == pytest.approx(log_loss(dataset.scored.loc[shared], oof.loc[shared]))
    trained = tmp_path / "weights" / "three-stage-nn-5fold+meta_features=False"
    units = {path: path.stat().st_mtime_ns for path in trained.rglob("unit.json")}
    assert [path.relative_to(trained).parts[0] for path in units] == ["stage2"], "and no stage 3 for nothing"
    page = (tmp_path / "ablations.md").read_text()
    assert "unit time, s" in page and "side by side" in page, "unit times overlap, so their sum is no time by the clock"
    assert "synthetic" in page and f"| {table['log_loss'][2]:.5f} |" in page

    pd.testing.assert_frame_equal(run_ablations(*options), table)
    assert all(path.stat().st_mtime_ns == when for path, when in units.items())
    read = pd.read_csv(tmp_path / "ablations.csv")
    pd.testing.assert_frame_equal(read, table, check_exact=False, rtol=1e-5, check_dtype=False)
