"""The made-up L1000 plate: what its files hold, and that its mechanisms can be recognised."""

import gzip

import pandas as pd
import pytest

from moa.data.dataset import load_dataset
from moa.data.synthetic_plate import synthesize_plate
from moa.errors import UserError
from moa.importing.import_plates import import_plates
from moa.importing.options import ImportOptions
from moa.metrics.neighbours import neighbour_votes


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made-up")
    plate, mechanisms = synthesize_plate(folder / "plate")
    return import_plates([plate], folder / "data", ImportOptions(moa=mechanisms)), folder / "data"


def test_it_is_imported_as_a_laboratorys_plate(imported):
    result, folder = imported
    data, noted = load_dataset(folder, drugs=True), "\n".join(result.notes.lines())
    assert (
        "log2 expression, level 3" in noted and "robust z-scores of 1 plate against the plate's vehicle wells" in noted
    )
    assert data.treated.sum() == 252 and (~data.treated).sum() == 26 and len(data.test) == 36
    assert data.drugs[data.treated].nunique() == 42 and len(data.schema.targets) == 12
    assert len(data.schema.values) == 772 and sorted(data.features["cp_dose"].dropna().unique())[-1] == 10
    names = pd.read_csv(folder / "features.csv", dtype=str).set_index("feature")
    assert names.iloc[0][["entrez_id", "symbol"]].tolist() == ["16", "AARS1"]


def test_mechanisms_can_be_recognised_at_high_doses(imported):
    data = load_dataset(imported[1], drugs=True)
    z, y = data.features[list(data.schema.values)][data.treated], data.scored[data.treated]
    right = neighbour_votes(z, y, data.drugs[y.index]).idxmax(axis=1) == y.idxmax(axis=1)
    by_dose = right.groupby(data.features["cp_dose"]).mean()
    assert by_dose[10.0] > 0.8 > 0.5 > by_dose[0.04]


def test_a_seed_gives_the_same_files(tmp_path):
    first, again, other = (synthesize_plate(tmp_path / str(n), 8, 4, seed) for n, seed in enumerate((1, 1, 2)))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert first[0].read_bytes() != other[0].read_bytes()
    assert gzip.decompress(first[0].read_bytes()).startswith(b"#1.3\n")


@pytest.mark.parametrize(("compounds", "mechanisms"), [(60, 12), (5, 3), (4, 0)])
def test_what_does_not_fit_is_refused(tmp_path, compounds, mechanisms):
    with pytest.raises(UserError, match="holds up to 59 compounds, at least two for each mechanism"):
        synthesize_plate(tmp_path, compounds, mechanisms)


def test_the_command_says_what_to_run_next(tmp_path, moa_here):
    done = moa_here("data", "synthesize-plate", tmp_path / "plate", "--compounds", "8", "--mechanisms", "4")
    assert "now run: moa data import" in " ".join(done.stdout.split())
    assert (tmp_path / "plate" / "mechanisms.tsv").read_text().startswith("pert_iname\tmoa\n")
