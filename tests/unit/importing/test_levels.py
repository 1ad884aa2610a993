"""The level is guessed for each file; values of different levels, and values that are none, are refused."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from moa.data.feature_names import competition_features
from moa.errors import UserError
from moa.importing.import_plates import import_plates, plan_import
from moa.importing.options import ImportOptions
from support.assays import write_gct

SYMBOLS = competition_features().query("group == 'genes'")["symbol"].tolist()[:60]
KINDS = {
    "z-scores": lambda random, shape: random.normal(size=shape),
    "log2": lambda random, shape: random.uniform(4, 12, shape),
    "z-scores times 100": lambda random, shape: np.round(100 * random.normal(size=shape)),
    "counts": lambda random, shape: random.poisson(150, shape),
}


def plate(folder, kind, name, seed=0):
    """A GCT file of 20 wells with values of a kind."""
    random = np.random.default_rng(seed)
    wells = [f"{name}:A{number:02d}" for number in range(1, 21)]
    values = pd.DataFrame(KINDS[kind](random, (20, len(SYMBOLS))), wells, SYMBOLS)
    known = pd.DataFrame({"pert_iname": ["DMSO"] * 8 + ["x", "y"] * 6}, index=wells)
    return write_gct(folder / f"{name}.gct", values, known, pd.DataFrame(index=SYMBOLS))


def test_each_file_has_its_level(tmp_path):
    plan = plan_import([plate(tmp_path, "z-scores", "A"), plate(tmp_path, "z-scores", "B", 1)])
    assert [(file.name, file.level) for file in plan.mapping.files] == [("A.gct", "4"), ("B.gct", "4")]
    assert plan.mapping.files[0].reason.startswith("the values are z-scores, level 4 or 5 (")


@pytest.mark.parametrize("order", [["z-scores", "log2"], ["log2", "z-scores"], ["z-scores", "z-scores", "log2"]])
def test_files_of_different_levels_are_refused_by_name(tmp_path, order):
    files = [plate(tmp_path, kind, f"{kind}{number}", number) for number, kind in enumerate(order)]
    with pytest.raises(UserError, match="z-scores.*level 4 or 5.* and .*log2|log2.*level 3.* and .*z-scores") as raised:
        plan_import(files)
    assert "import each level on its own" in str(raised.value) and "\n" not in str(raised.value)
    assert {file.level for file in plan_import(files, ImportOptions(level="4")).mapping.files} == {"4"}


def test_z_scores_times_100_are_refused(tmp_path):
    path = plate(tmp_path, "z-scores times 100", "A")
    with pytest.raises(UserError, match=r"look like z-scores times a number, but \d+% of them lie beyond ±10.*divide"):
        plan_import([path])
    assert plan_import([path], ImportOptions(level="4")).mapping.files[0].level == "4"


def test_a_refusal_of_counts_names_the_layers_at_hand(tmp_path):
    random = np.random.default_rng(0)
    obs = pd.DataFrame({"compound": ["DMSO"] * 8 + ["x", "y"] * 6})
    held = SimpleNamespace(
        X=KINDS["counts"](random, (20, 60)),
        obs=obs,
        var=pd.DataFrame(index=SYMBOLS),
        layers={"log2": KINDS["log2"](random, (20, 60)), "raw": np.ones((20, 60))},
    )
    with pytest.raises(UserError, match="raw intensities or counts .*choose a layer with --layer: log2, raw$"):
        plan_import([held])
    assert plan_import([held], ImportOptions(layer="log2")).mapping.files[0].level == "3"
    with pytest.raises(UserError, match="object 1: --layer ln: no such layer; there are log2, raw"):
        plan_import([held], ImportOptions(layer="ln"))
    with pytest.raises(UserError, match="raw intensities or counts"):
        plan_import([plate(tmp_path, "counts", "A")])


def test_small_counts_are_no_expression(tmp_path):
    counts = np.random.default_rng(0).poisson(5, (20, 60)).astype(float)
    held = SimpleNamespace(
        X=counts, obs=pd.DataFrame({"compound": ["DMSO"] * 8 + ["x", "y"] * 6}), var=pd.DataFrame(index=SYMBOLS)
    )
    with pytest.raises(UserError, match="look like counts .whole numbers, 0% negative.*state --level 3 if"):
        plan_import([held])


def test_counts_of_other_features_are_refused(tmp_path):
    table = pd.DataFrame(np.random.default_rng(0).poisson(0.3, (20, 12)), columns=[f"spots_{n}" for n in range(12)])
    table.assign(compound=["DMSO"] * 8 + ["x", "y"] * 6).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UserError, match="look like counts .whole numbers, most of them 0.*--level raw"):
        import_plates([tmp_path / "a.csv"], tmp_path / "out")
