"""What the notebooks share: experiments and their folders, steps at work, sources, tables of scores, claims."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from moa import notebook
from moa.data.stored_tables import write_table
from moa.errors import StoreError, UserError
from moa.features import GaussianRank
from moa.features.pipeline import FeaturePipeline, Step, drop, named
from moa.features.reductions import pca
from moa.files import write_json
from moa.jobs.writeup_claims import ABLATIONS, WRITE_UP
from moa.kaggle.session import Session
from moa.metrics.losses import log_loss
from moa.models.registry import package_recipes, recipe
from moa.notebook.experiment import Experiment
from moa.plots.features import step_panels
from moa.weights.layout import WeightsFolder

NAME = "simple-nn-old-cv"


@pytest.fixture
def session(tmp_path):
    return Session(tmp_path / "data", tmp_path / "out", "demo")


def experiment(session, *changes):
    return Experiment(NAME, session, session.out / "weights", *changes, device="cpu")


def test_a_change_has_a_weights_folder_of_its_own(session):
    plain = experiment(session)
    assert (plain.model, plain.weights, plain.changed) == (recipe(NAME), session.out / "weights", False)
    width = experiment(session, {"learner": {"hidden": 64}})
    assert width.weights == session.out / "weights-edited" and width.model.name == f"{NAME}+learner.hidden=64"
    assert not experiment(session, {"learner": {"hidden": width.base.demo["learner"]["hidden"]}}).changed
    many = experiment(session, {"seeds": tuple(range(100))}).model.name
    assert len(many) < 120 and many != experiment(session, {"seeds": tuple(range(101))}).model.name


def test_what_cannot_be_changed_is_refused(session):
    with pytest.raises(UserError, match="there is no setting learner.widht"):
        experiment(session, {"learner": {"widht": 64}})
    with pytest.raises(UserError, match="load the data first"):
        assert experiment(session).trained


def test_scores_stand_beside_what_the_published_one_is_of(session, dataset, monkeypatch, capsys):
    y = dataset.scored[dataset.treated]
    honest, leaky = y * 0.2 + 0.01, y * 0.3 + 0.01
    monkeypatch.setattr(Experiment, "trained", SimpleNamespace(oof_as_published=lambda: leaky))
    table = Experiment("two-heads", session, session.out / "weights", device="cpu").scores(dataset, honest)
    row = table["2-heads ResNet"]
    assert row["OOF, same rows"] == f"{log_loss(y, honest):.5f}" and row["published CV"] == "0.01589 (treated) ‡"
    assert row["OOF, as published"] == f"{log_loss(y, leaky):.5f}"
    assert capsys.readouterr().out.startswith("‡ After phase 3")
    monkeypatch.setattr(Experiment, "trained", SimpleNamespace(oof_as_published=lambda: None))
    assert "OOF, as published" not in experiment(session).scores(dataset, honest).index
    assert not capsys.readouterr().out.strip()


def test_steps_are_seen_at_work_and_drawn():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 4)) ** 3, columns=["g-0", "g-1", "g-2", "g-3"])
    frame.index = [f"id_{i:02d}" for i in range(60)]
    genes = named(*frame.columns)
    steps = [
        Step("rank", GaussianRank(), genes, "in place"),
        Step("pc", pca(2, 0), genes),
        drop("lost", named("g-0")),
    ]
    pipeline = FeaturePipeline(steps).fit(frame)
    seen = notebook.feature_steps(pipeline, frame)
    assert [(step.name, step.kind, step.shape) for step in seen] == [
        ("rank", "in place", (60, 4)),
        ("pc", "map", (60, 6)),
        ("lost", "columns", (60, 5)),
    ]
    assert seen[0].before.equals(frame) and abs(seen[0].after.to_numpy()).max() < 6 < frame.to_numpy().max()
    last = pd.concat([seen[0].after.drop(columns="g-0"), seen[1].after], axis=1)
    assert np.allclose(last, pipeline.transform(frame), atol=1e-6), "the pipeline itself, and no copy of it"
    mechanisms = pd.Series("kinase_inhibitor", frame.index[:7])
    figure = step_panels(seen[:2], mechanisms)
    assert [axes.get_title() for axes in figure.axes][2:] == ["pc: before, 4 columns", "after, 2 columns"]
    coloured = figure.axes[3].collections[1].get_offsets()
    assert np.allclose(coloured, seen[1].after.loc[mechanisms.index].iloc[:, :2])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["kinase inhibitor"]
    assert list(notebook.steps.table(seen)["columns out"]) == [4, 2, 0]


def test_targets_agreement_and_members(dataset):
    rows = dataset.features.index[dataset.treated]
    y = dataset.scored.loc[rows]
    rng = np.random.default_rng(0)
    good = (0.004 + 0.3 * y + rng.uniform(0, 1e-3, y.shape)).astype(np.float32)
    other = (0.01 + 0.05 * good + rng.uniform(0, 1e-3, y.shape)).astype(np.float32)
    table = notebook.per_target(dataset, good)
    assert (table["positives"] > 0).all() and table["gain"].is_monotonic_decreasing and table["gain"].min() > 0
    ten = notebook.targets_best_and_worst(dataset, good)
    assert list(ten.loc["best"].index) == list(table.index[:10])
    assert list(ten.loc["worst"].index) == list(table.index[-10:])
    alike = notebook.agreement("ours", good, {"ours": good, "same": good, "other": other.iloc[:400]})
    assert list(alike.index) == ["same", "other"] and np.allclose(alike.loc["same"], 1)
    assert 0 < alike.loc["other", "ranks"] < alike.loc["other", "probabilities"] < 1
    titles = {recipe(name).title: oof for name, oof in (("two-heads", good), (NAME, other))}
    members = notebook.members(dataset, titles, pd.Series({"two-heads": 0.7, NAME: 0.2, "two-heads-v2": 0.1}))
    assert list(members["weight"]) == [0.7, 0.2] and members["log loss"].is_monotonic_increasing
    by_target = notebook.pairs(titles)["2-heads ResNet – Simple NN, old CV"]
    assert members["correlation"].tolist() == pytest.approx([by_target.mean()] * 2, abs=1e-5)


def test_oof_predictions_are_read_from_tables_and_else_from_units(dataset, tmp_path, monkeypatch, capsys):
    """Merged and packed weights have no tables."""
    oof = dataset.scored * 0.5 + 0.1
    for name in (NAME, "two-heads", "two-heads-v2", "three-stage-nn-5fold"):
        write_json(WeightsFolder(tmp_path).model(name).manifest, {})
    write_table(WeightsFolder(tmp_path).model(NAME).prediction("oof"), oof)

    def opened(model, weights, whole):
        if model.name == "two-heads-v2":
            raise StoreError("trained by another recipe")
        units = [(0, 0)] if model.name == "two-heads" else []
        return SimpleNamespace(last=None, units=lambda stage: units, calibrated_oof=lambda: oof.iloc[:50])

    monkeypatch.setattr("moa.notebook.tables.open_trained", opened)
    found = notebook.every_oof(tmp_path, dataset)
    treated = int(dataset.treated.sum()), int(dataset.treated.iloc[:50].sum())
    assert {name: len(table) for name, table in found.items()} == {
        recipe(NAME).title: treated[0],
        "2-heads ResNet": treated[1],
    }, "without those that have no unit yet"
    assert capsys.readouterr().out == "without 2-heads ResNet V2: trained by another recipe\n"


def test_drugs_and_pairs_of_targets_are_counted(dataset):
    table = notebook.drug_sizes(dataset)
    assert table["rows"].sum() == dataset.treated.sum()
    assert table["drugs"].sum() == dataset.drugs[dataset.treated].nunique()
    pairs = notebook.target_pairs(dataset)
    first = pairs.iloc[0]
    both = dataset.scored[[first["one"], first["other"]]].all(axis=1).sum()
    either = dataset.scored[[first["one"], first["other"]]].any(axis=1).sum()
    assert (first["shared rows"], first["of all their rows"]) == (both, f"{both / either:.0%}")


def test_every_model_has_claims_and_each_names_an_ablation_of_that_model(session):
    assert set(WRITE_UP) == set(package_recipes())
    for name, said in WRITE_UP.items():
        for _, ablation in said:
            arms = [arm.model for each in ABLATIONS[ablation].comparisons for arm in each] if ablation else [name]
            assert name in arms or name == "three-stage-nn-10fold", (name, ablation)
    (session.out / "ablations").mkdir(parents=True)
    rows = {"ablation": "smoothing", "model": recipe(NAME).title, "variant": ["smoothed", "not smoothed"]}
    numbers = {"rows": 9, "log_loss": [0.02, 0.021], "prevalence": 0.03, "difference": [np.nan, 0.001]}
    spread = {"low": [np.nan, 0.0005], "high": [np.nan, 0.0015], "units": 1, "unit_seconds": 1.0}
    pd.DataFrame(rows | numbers | spread).to_csv(session.out / "ablations" / "ablations.csv")
    table = notebook.claims(NAME, session).data
    assert "not smoothed: 0.02100 (+0.00100, +0.00050 to +0.00150)" in table["measured here"][1]
    assert table["measured here"][0] == "not measured"


def test_at_home_without_data_the_demos_are_written(tmp_path, monkeypatch, capsys):
    import moa.data.synthetic
    import moa.kaggle.session as module

    written = []
    monkeypatch.setattr(module, "FINAL", tmp_path / "final")
    monkeypatch.setattr(moa.data.synthetic, "synthesize", lambda folder, **size: written.append((folder, size)))
    session = Session.find("demo")
    assert session.with_data().data == tmp_path / "output" / "demo" / "data"
    assert written == [(tmp_path / "output" / "demo" / "data", {"rows": 1500, "test_rows": 400, "seed": 0})]
    given = Session.find("demo", data=tmp_path / "mine")
    assert given.with_data() == given and len(written) == 1
