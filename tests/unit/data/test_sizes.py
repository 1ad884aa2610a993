"""Settings shrink with the data, by rules, and say so."""

import pytest

from moa.data.assay import COMPETITION, Assay
from moa.data.sizes import shrink
from moa.models.base import DataFacts
from moa.models.registry import recipe, recipes


def assay(**groups):
    return Assay.model_validate(
        {"name": "x", "groups": {n: {"columns": [f"{n}{i}" for i in range(w)]} for n, w in groups.items()}}
    )


def fitted(name, rows, schema, nonscored=False):
    model = recipe(name)
    return model.fit_to(model.configure("kaggle"), DataFacts(schema, rows, nonscored))


@pytest.mark.parametrize("name", list(recipes()))
def test_the_competitions_settings_stay_as_published(name):
    config, notes = fitted(name, 60, COMPETITION, nonscored=True)
    assert config == recipe(name).configure("kaggle") and not notes


@pytest.mark.parametrize("name", list(recipes()))
def test_a_large_assay_needs_no_changes_of_size(name):
    config, _ = fitted(name, 21_948, assay(genes=978, cells=100), nonscored=True)
    before, after = recipe(name).configure("kaggle").model_dump(), config.model_dump()
    assert {key for key in before if before[key] != after[key]} <= {"keep_slips", "selection"}


def test_what_shrinks_with_the_rows():
    config, notes = fitted("simple-nn-new-cv", 302, assay(Cells=161, Nuclei=60))
    assert (config.learner.hidden, config.learner.batch_size, config.gene_factors) == (1024, 32, 75)
    assert notes == [
        "simple-nn-new-cv: sizes for 302 training rows: learner.hidden 2048 → 1024, learner.batch_size 128 → 32, "
        "gene_factors 90 → 75, gene_factors 75 → 60 for Nuclei"
    ]
    again, changes = shrink(config, assay(Cells=161, Nuclei=60), 302)
    assert again == config and changes == ["gene_factors 75 → 60 for Nuclei"]


def test_settings_of_a_group_that_is_not_there_are_left_alone():
    config, notes = fitted("simple-nn-old-cv", 100, assay(genes=300))
    assert config.cell_factors == 50 and config.gene_factors == 25 and config.gene_clusters == 10
    assert "cell" not in notes[-1]


def test_batches_never_shrink_below_eight_rows():
    assert fitted("two-stage-nn-tabnet", 20, assay(genes=300))[0].tabnet.learner.batch_size == 8


def test_stages_without_nonscored_targets_are_left_out():
    plain = assay(genes=300)
    for name, stages, note in (
        ("three-stage-nn-5fold", ["stage2", "stage3"], "stage 1 is left out"),
        ("two-stage-nn-tabnet", ["tabnet"], "the model is TabNet alone"),
        ("two-heads", ["phase2"], "phase 1 is left out"),
    ):
        config, notes = fitted(name, 5000, plain)
        found = recipe(name).stages(config, plain)
        assert [stage.name for stage in found] == stages and any(note in each for each in notes)
        assert found[0].starts_from is None and not found[0].uses


@pytest.mark.parametrize(("compounds", "rows", "left_out"), [(119, 5000, True), (120, 200, False), (None, 119, True)])
def test_stage_3_needs_ten_compounds_for_each_prediction_that_it_reads(compounds, rows, left_out):
    """With few compounds it learns their predictions by heart; rows count where compounds are not known."""
    plain, model = assay(genes=300), recipe("three-stage-nn-5fold")
    facts = DataFacts(plain, rows, nonscored=False, compounds=compounds, targets=12)
    config, notes = model.fit_to(model.configure("kaggle"), facts)
    assert [stage.name for stage in model.stages(config, plain)] == ["stage2", "stage3"][: 1 if left_out else 2]
    assert any("are too few to correct 12 predictions: stage 3 is left out" in note for note in notes) == left_out


def test_the_competition_without_nonscored_positives_loses_these_stages_too():
    config, notes = fitted("three-stage-nn-5fold", 21_948, COMPETITION, nonscored=False)
    assert config == recipe("three-stage-nn-5fold").configure("kaggle", {"meta_features": False}) and len(notes) == 1


def test_columns_that_are_the_competitions_are_chosen_by_a_t_test_elsewhere():
    config, notes = fitted("two-heads", 5000, assay(genes=300), nonscored=True)
    assert config.selection == "t-test" and config.selected == 300
    genes = COMPETITION.only(["genes"])
    config, notes = fitted("two-heads", 21_948, genes, nonscored=True)
    assert config.selection == "published" and not notes
    (step,) = [s for s in recipe("two-heads").stages(config, genes)[0].features().steps if s.name == "selected"]
    assert len(step.columns([])) == 347
