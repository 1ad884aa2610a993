"""The demo is compared with the figures in the README, and those figures are the ones in the package."""

import re

import pandas as pd
import pytest

from moa.data.dataset import load_dataset
from moa.data.synthetic import WORLD
from moa.environment import FINAL
from moa.jobs import demo
from moa.jobs.model_scores import score_model
from moa.models.registry import recipe, recipes
from support.demo import ROWS

OLD, NEW = "simple-nn-old-cv", "simple-nn-new-cv"
TITLES = {"Best LB": "best-lb", "Best CV": "best-cv", "3-stage NN, 5 folds": "three-stage-nn-5fold"}
TITLES["3-stage NN, 10 folds"] = "three-stage-nn-10fold"


@pytest.fixture
def weights(weights_of):
    return weights_of(OLD, NEW)


@pytest.fixture
def figures(weights, data_dir, monkeypatch):
    """Take the tests' data for the demo's, and what was trained on them for the README's figures."""
    monkeypatch.setattr(demo, "DATA", ROWS | {"world": WORLD})
    data = load_dataset(data_dir, nonscored=False)
    table = demo.reference()
    for name in (OLD, NEW):
        trained = demo.open_trained(name, weights)
        table.loc[name, "oof"] = round(score_model(recipe(name), data, trained.oof()).same_rows, 5)
    monkeypatch.setattr(demo, "reference", lambda: table)
    return table


def test_figures_that_come_out_again(figures, weights, data_dir, moa_here):
    done = moa_here("compare", "all", "--data", data_dir, "--weights", weights)
    assert "all within what machines differ by" in done.stdout and f"{figures.loc[OLD, 'oof']:.5f}" in done.stdout
    assert "not trained as a whole, so left out: deepinsight-efficientnet-b3" in " ".join(done.stdout.split())
    assert "best-lb" not in done.stdout, "its members are not all there"


def test_a_figure_that_does_not_come_out_again(figures, weights, data_dir, moa_here):
    figures.loc[NEW, "oof"] += 1.1 * figures.loc[NEW, "tolerance"]
    done = moa_here("compare", OLD, NEW, "--data", data_dir, "--weights", weights, check=False)
    assert done.returncode == 1 and f"differs by more than machines do: {NEW}" in done.stdout


def test_other_synthetic_data_are_still_refused(weights, data_dir, moa_here):
    done = moa_here("compare", OLD, "--data", data_dir, "--weights", weights, check=False)
    assert done.returncode == 2 and "these data are synthetic" in done.stderr


def test_the_readme_and_the_package_have_the_same_figures():
    known = demo.reference()
    assert set(known.index) == {*recipes(), "best-lb", "best-cv"} and demo.DATA["world"] == WORLD
    names = TITLES | {model.title: name for name, model in recipes().items()}
    found = {}
    for line in (FINAL.parent / "README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        title = cells[0].replace("*", "").split(", 5 models")[0].split(", 7 models")[0]
        if len(cells) == 5 and title in names:
            found[names[title]] = float(re.match(r"[\d.]+", cells[4])[0])
    pd.testing.assert_series_equal(pd.Series(found).sort_index(), known["oof"].sort_index(), check_names=False)
