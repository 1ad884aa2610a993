"""The report's sections on the CNNs and on searched blends, compared with figures computed another way."""

import dataclasses
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import torch

from moa.blending.blend import BlendSpec, Member, save_blend
from moa.errors import UserError
from moa.learners.deepinsight.attributions import attributions
from moa.learners.deepinsight.fitted import FittedCNN
from moa.metrics.losses import log_loss
from moa.models.registry import recipe
from moa.reporting.explanations import explain
from moa.reporting.inputs import collect
from moa.reporting.networks import network_section, networks
from moa.reporting.page import Table
from moa.reporting.report import write_report
from moa.reporting.scores import ReportScores
from moa.reporting.sections import blends, scores
from moa.weights.trained import open_trained

CNN, NN = "deepinsight-resnest-v2", "simple-nn-old-cv"


@pytest.fixture(scope="module")
def weights(weights_of):
    return weights_of(CNN, NN)


@pytest.fixture(scope="module")
def predictions(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("predictions")
    for name in (CNN, NN):
        shutil.copytree(weights / name / "predictions", folder / name)
    return folder


@pytest.fixture(scope="module")
def found(data_dir, weights, predictions):
    return ReportScores(collect(data_dir, weights, predictions))


@pytest.fixture(scope="module")
def seen(found):
    return explain(found, found.inputs.models[CNN])


def cells(text):
    """Text of the table cells of a page."""

    class Cells(HTMLParser):
        def __init__(self):
            super().__init__()
            self.found, self.inside = [], False

        def handle_starttag(self, tag, attrs):
            self.inside = tag in ("td", "th")

        def handle_data(self, data):
            if self.inside:
                self.found.append(data)
                self.inside = False

    parser = Cells()
    parser.feed(text)
    return parser.found


def test_classes_are_the_common_ones_on_rows_held_out(found, seen, dataset, weights):
    treated = dataset.scored[dataset.treated]
    common = list(treated.sum().sort_values(ascending=False, kind="stable").index[:4])
    assert treated[list(seen.held_out)].sum().min() >= treated[common].sum().min()
    seed, fold = seen.unit
    held_out = open_trained(CNN, weights).store.load_oof("cnn", seed, fold).index
    for name, count in seen.held_out.items():
        rows = treated.index[(treated[name] > 0) & treated.index.isin(held_out)]
        assert count == min(len(rows), 16) > 0
    assert seen.sample[0] in held_out


def test_weights_are_the_attributions_of_the_first_unit(found, seen, dataset, weights):
    trained = open_trained(CNN, weights)
    unit = trained.unit("cnn", *seen.unit)
    fitted = FittedCNN.restore(unit.fitted)

    def inputs(rows):
        return unit.inputs(trained.inputs("cnn", dataset.features.loc[rows]))

    name = list(seen.held_out)[-1]
    oof = trained.store.load_oof("cnn", *seen.unit)
    rows = [row for row in found.y.index if row in oof.index and found.y.loc[row, name] > 0][: seen.held_out[name]]
    for method in ("gradient", "grad-cam"):
        expected = attributions(fitted, inputs(rows), [name], method)[name]
        np.testing.assert_allclose(seen.weights[method][name], expected, rtol=1e-4, atol=1e-7)
    # The sample's image and the classes' means, pixel by pixel.
    row, image = seen.sample
    with torch.no_grad():
        whole = fitted.renderer(fitted.values(inputs([row])))[0]
    np.testing.assert_allclose(image, whole)
    carriers = found.y.index[found.y[name] > 0][:200]
    images = fitted.renderer(fitted.values(inputs(carriers)))
    np.testing.assert_allclose(seen.means[name], images.mean(0), atol=1e-6)


def test_page_names_genes_and_cells_and_stays_small(found, seen, data_dir, weights, predictions, tmp_path):
    path = write_report(data_dir, weights, predictions, tmp_path, [networks])
    text = path.read_text(encoding="utf-8")
    assert len(text) < 600_000 and f'id="cnn-{CNN}"' in text and NN not in text
    assert ">ResNeSt V2</a>" in text and "772 genes" in text and "100 cells" in text and "3 conditions" in text
    shown = cells(text)
    for name in seen.held_out:
        weight = seen.weights["gradient"][name]
        for prefix, top in (("g-", 5), ("c-", 3)):
            best = weight[weight.index.str.startswith(prefix)].sort_values(ascending=False).index[:top]
            assert ", ".join(found.names[feature] for feature in best) in shown
        assert f"{found.models[CNN].areas.loc[name, 'roc_auc']:.3f}" in shown


def test_a_method_that_ranks_nothing_is_left_out_with_a_word(found, seen):
    flat = pd.DataFrame(0.0, index=seen.weights["gradient"].index, columns=list(seen.held_out))
    model, weights = found.inputs.models[CNN], seen.weights | {"grad-cam": flat}
    section = network_section(found, model, dataclasses.replace(seen, weights=weights))
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert [name for name in table.columns if "," in name] == ["genes, input gradient", "cells, input gradient"]
    assert any("Grad-CAM tells nothing" in getattr(block, "text", "") for block in section.blocks)
    flat.iloc[3, 0] = 1.0
    section = network_section(found, model, dataclasses.replace(seen, weights=weights))
    table = next(block for block in section.blocks if isinstance(block, Table))
    column = table.columns.index("genes, Grad-CAM")
    assert table.rows[0][column].startswith(found.names["g-0"]) and all(row[column] == "–" for row in table.rows[1:])


def test_a_map_that_leaves_most_pixels_empty_is_remarked_on(found, seen):
    model, features = found.inputs.models[CNN], list(seen.weights["gradient"].index)
    place = np.random.default_rng(0).random((len(features), 2))

    def remarks():
        section = network_section(found, model, dataclasses.replace(seen, coordinates=place))
        return [block.text for block in section.blocks if getattr(block, "tone", "") == "warn"]

    assert remarks() == []
    place[40] = (30, 30)
    (remark,) = remarks()
    assert f": {found.names[features[40]]} lie far from all others" in remark and "of 256 pixels" in remark


def test_without_a_trained_cnn_there_is_no_section(found, data_dir, predictions, tmp_path):
    assert networks(ReportScores(collect(data_dir, tmp_path / "none", predictions))) == []
    only = {NN: found.inputs.models[NN]}
    assert networks(ReportScores(dataclasses.replace(found.inputs, models=only))) == []


def test_a_searched_blend_is_shown_beside_the_published_ones(data_dir, weights, predictions, tmp_path):
    members = (Member(model=CNN, weight=0.25), Member(model=NN, weight=0.75))
    save_blend(BlendSpec(name="mine", title="My search", members=members), tmp_path / "mine.yaml")
    found = ReportScores(collect(data_dir, weights, predictions, [tmp_path / "mine.yaml"]))
    single = {name: prediction.table.astype(float) for name, prediction in found.models.items()}
    assert found.blends["mine"].loss == pytest.approx(log_loss(found.y, 0.25 * single[CNN] + 0.75 * single[NN]))
    section = blends(found)
    table = next(block for block in section.blocks if getattr(block, "caption", "").startswith("My search"))
    assert table.columns[1] == "weight" and [row[1] for row in table.rows[:2]] == ["0.2500", "0.7500"]
    assert "flattered" in section.lead
    remarks = {row[0]: row[-1] for row in scores(found).blocks[0].rows}
    assert remarks["My search"] == "weights found on these rows" and "found" not in remarks["Best LB"]
    assert "of 7 members" in remarks["Best LB"] and recipe(NN).title in remarks
    # One in the folder of predictions is found without being given; two blends cannot have the same name.
    shutil.copytree(predictions, tmp_path / "predictions")
    shutil.copy(tmp_path / "mine.yaml", tmp_path / "predictions" / "searched.yaml")
    assert "mine" in collect(data_dir, weights, tmp_path / "predictions").blends
    with pytest.raises(UserError, match="another blend named mine"):
        collect(data_dir, weights, tmp_path / "predictions", [tmp_path / "mine.yaml"])
