"""What columns are, by evidence: families of features, fields by words and units, and numbers of no family."""

import numpy as np
import pandas as pd
import pytest

from moa.data.feature_names import competition_features
from moa.errors import UserError
from moa.importing.columns import counts_rows, holds_numbers, names_rows
from moa.importing.describe import Read, describe
from moa.importing.families import compartment, is_bookkeeping
from moa.importing.fields import field_of
from moa.importing.headings import heading, split_words
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import WellTable
from moa.importing.written_numbers import commas_of, without_thousands

READOUTS = split_words("Area Perimeter Entropy Contrast Eccentricity Solidity Extent Skewness Kurtosis Roundness")
SYMBOLS = competition_features().query("group == 'genes'")["symbol"].tolist()[:200]


def described(columns, notes=None, **options):
    """The mapping of a table of three wells with these columns of numbers beside a plate, a well and a compound."""
    table = pd.DataFrame(np.arange(3.0)[:, None] + np.arange(len(columns)), columns=list(columns))
    table = table.assign(Plate="P1", Well=["A01", "A02", "A03"], Compound=["DMSO", "x", "y"])
    read = Read([("a.csv", WellTable("a.csv", table, 2))], [])
    return describe(read, ImportOptions(**options), Notes() if notes is None else notes)


@pytest.mark.parametrize(
    ("features", "patterns"),
    [
        ([f"emb_{n:02d}" for n in range(9)], ["emb_#"]),
        ([str(n) for n in range(9)], ["#"]),
        ([f"V{n}" for n in range(1, 9)], ["V#"]),
        ([f"g-{n}" for n in range(20)] + [f"c-{n}" for n in range(4)], ["g-#", "c-#"]),
        (
            [f"Nuclei - {each}" for each in READOUTS] + [f"Cells - {each}" for each in READOUTS],
            ["Nuclei - *", "Cells - *"],
        ),
        ([f"{each}_mean" for each in READOUTS], ["*_mean"]),
        (["BR:MCF7", "BR:T-47D", "LE:SR", "PR:PC-3"], ["*:*"]),
        ([f"Cells_{each}" for each in READOUTS] + ["Nuclei_Area"], ["Cells_*", "Nuclei_*"]),
        ([*SYMBOLS, "HLA-A", "C1orf112", "LINC00115"], ["<gene symbols>"]),
        ([f"Nuclei - {each} [px] - Mean per Well" for each in READOUTS], ["Nuclei - *"]),
        (["HEYA8_OVARY", "RKO", "A204", "HCT116"], ["<cell lines>"]),
        ([f"ENSG{n:011d}" for n in range(9)], ["ENSG#"]),
    ],
)
def test_families_of_features(features, patterns):
    others = {"pH": "unknown", "Dose (nM)": "dose", "MW": "metadata", "total_counts": "count", "Time [h]": "time"}
    notes = Notes()
    mapping = described([*features, *others], notes)
    assert [family.pattern for family in mapping.features] == patterns
    assert sum(family.count for family in mapping.features) == len(features)
    assert {name: mapping.columns[name].role for name in others} == others
    assert mapping.unit("dose") == "nm" and mapping.unit("time") == "h"
    assert "numbers that share no naming pattern with the features, as metadata (--features takes them): pH, MW" in (
        "\n".join(notes.lines())
    )


def test_numbers_with_names_of_their_own_are_listed_and_asked_for():
    with pytest.raises(
        UserError, match=r"of 10 columns of numbers \(Area, Perimeter, Entropy, Contrast, .* and 4 more\).*--features"
    ):
        described(READOUTS)
    mapping = described([*READOUTS, "Dose"], features=("*",))
    assert mapping.features[0].count == 10 and mapping.columns["Dose"].role == "dose"
    mapping = described(READOUTS, features=("Area", "E*"))
    assert [family.count for family in mapping.features] == [1, 3] and mapping.columns["Contrast"].role == "unknown"
    with pytest.raises(UserError, match="--features Areas: no such column; there are Area"):
        described(READOUTS, features=("Areas",))
    with pytest.raises(UserError, match="--features Compound: column 'Compound' holds no numbers"):
        described(READOUTS, features=("Compound",))


def test_logarithms_of_doses_are_named():
    for heading_of_dose in ("log10 Concentration (µM)", "-log[M]", "logDose"):
        notes = Notes()
        mapping = described([*(f"emb_{n}" for n in range(5)), heading_of_dose], notes)
        assert mapping.column("dose") is None
        assert (
            f"logarithms of doses are not read; give the doses themselves in a column, in place of: {heading_of_dose}"
            in ("\n".join(notes.lines()))
        )


def test_replicates_side_by_side_are_named():
    notes = Notes()
    described([f"Cells_{each}_rep{n}" for each in READOUTS for n in (1, 2)], notes)
    assert "replicates side by side, such as 'Cells_Area_rep1', 'Cells_Area_rep2', are read" in "\n".join(notes.lines())
    notes = Notes()
    described([f"Cells_{each}_{n}" for each in READOUTS for n in (1, 2)], notes)
    assert "side by side" not in "\n".join(notes.lines())


def test_few_alike_among_many_are_no_features():
    embedding = [f"emb_{n}" for n in range(40)]
    few = ["viability_pct", "viability_sem", "viability_n", "dose_1", "dose_2", "dose_3"]
    mapping = described([*embedding, *few])
    assert [family.pattern for family in mapping.features] == ["emb_#"] and set(few) <= set(mapping.columns)


BOOKKEEPING = split_words("""
    Nuclei_Location_Center_X Cells_Location_CenterMassIntensity_X_DNA Cells_AreaShape_Center_Y
    Cells_AreaShape_Orientation Cells_AreaShape_BoundingBoxMinimum_X Cells_Number_Object_Number Cells_ObjectNumber
    Cells_Neighbors_FirstClosestObjectNumber_10 Cells_Parent_Nuclei Cells_Children_Cytoplasm_Count Image_Group_Index
    Image_Group_Number ImageNumber Image_ExecutionTime_03MeasureTexture Image_Count_Cells Image_Height_DNA
""")
MEASURED = split_words("""
    Cells_AreaShape_Area Cells_Neighbors_NumberOfNeighbors_10 Cells_Neighbors_PercentTouching_3
    Cells_Intensity_MeanIntensity_Channel_1 Nuclei_Texture_Contrast_DNA_3_0 Image_Granularity_1_DNA
    Cells_RadialDistribution_FracAtD_Mito_1of4 Cells_AreaShape_Zernike_4_0 Cytoplasm_AreaShape_EulerNumber
""")


def test_bookkeeping_of_cellprofiler_is_no_feature_unless_it_is_named():
    assert [each for each in BOOKKEEPING if not is_bookkeeping(each)] == []
    assert [each for each in MEASURED if is_bookkeeping(each) or not compartment(each)] == []
    notes = Notes()
    mapping = described([*MEASURED, *BOOKKEEPING], notes)
    assert sum(family.count for family in mapping.features) == len(MEASURED)
    assert "CellProfiler's bookkeeping" in "\n".join(notes.lines())
    named = described([*MEASURED, *BOOKKEEPING], features=("Cells_*",))
    assert named.features[0].count == sum(each.startswith("Cells_") for each in MEASURED + BOOKKEEPING)


def test_what_options_name_goes_before_what_names_say():
    mapping = described(["emb_1", "emb_2", "emb_3", "emb_4", "QC_1", "QC_2", "QC_3"], metadata=("QC_*", "emb_4"))
    assert mapping.features[0].count == 3 and mapping.columns["emb_4"].reason == "named as metadata"
    mapping = described([*(f"emb_{n}" for n in range(5)), "amount"], dose="amount")
    assert mapping.columns["amount"].role == "dose" and mapping.columns["amount"].reason == "named by --dose"
    mapping = described([f"emb_{n}" for n in range(5)], control="Compound=DMSO")
    assert mapping.column("compound") == "Compound"  # it says which wells are controls, too


@pytest.mark.parametrize(
    ("text", "words", "unit", "field"),
    [
        ("Concentration (µM)", "concentration", "um", "dose"),
        ("Concentration (μM)", "concentration", "um", "dose"),
        ("Concentration (Âµg/ml)", "concentration", "ug/ml", "dose"),
        ("dose_nM", "dose", "nm", "dose"),
        ("doseNM", "dose", "nm", "dose"),
        ("Final conc. (uM)", "final conc", "um", "dose"),
        ("conc_ug_per_ml", "conc", "ug/ml", "dose"),
        ("conc [micro M]", "conc", "um", "dose"),
        ("dose uM final", "dose final", "um", "dose"),
        ("Compound (uM)", "compound", "um", "dose"),
        ("[Drug] µM", "drug", "um", "dose"),
        ("Compound M", "compound m", "", None),
        ("uM", "um", "um", "dose"),
        ("pert_dose_um", "pert dose", "um", "dose"),
        ("log10 conc (M)", "log10 conc", "m", None),
        ("Metadata_mmoles_per_liter", "mmoles per liter", "", None),  # in µM, whatever it says
        ("Time (min)", "time", "min", "time"),
        ("Experimental Condition [Treatment time (h)]", "treatment time", "h", "time"),
        ("hours", "hours", "hours", "time"),
        ("Exposure time (ms)", "exposure time ms", "", None),
        ("Time of day", "time of day", "", None),
        ("Plate No.", "plate no", "", "plate"),
        ("PlateID", "plate id", "", "plate"),
        ("Platten-Nr.", "platten nr", "", "plate"),
        ("Puits", "puits", "", "well"),
        ("Compose\N{COMBINING ACUTE ACCENT}", "composé", "", "compound"),
        ("Konzentration [µM]", "konzentration", "um", "dose"),
        ("Lignée cellulaire", "lignée cellulaire", "", "cell_line"),
        ("Mécanisme d'action", "mécanisme d action", "", "mechanism"),
        ("Source plate", "source plate", "", None),
        ("WellPosition", "well position", "", "well"),
        ("Characteristics [Cell Line]", "cell line", "", "cell_line"),
        ("Experimental Batch", "experimental batch", "", "batch"),
        ("Compound batch", "compound batch", "", None),
        ("Compound Purity (%)", "compound purity", "%", None),
        ("col_s", "col s", "", None),
    ],
)
def test_headings(text, words, unit, field):
    found = heading(text)
    assert (" ".join(found.words), found.unit, field_of(text)) == (words, unit, field)


def test_columns_of_row_names():
    assert names_rows(["", "a"], "") and names_rows(["a", "Unnamed: 0"], "Unnamed: 0") and names_rows(["V1", "a"], "V1")
    assert not names_rows(["V1", "V2"], "V1") and not names_rows(["Name"], "Name")
    assert counts_rows(pd.Series(["0", "1", "2"])) and counts_rows(pd.Series([1, 2, 3]))
    assert not counts_rows(pd.Series(["5", "6"])) and not counts_rows(pd.Series(["a", "b"]))
    assert holds_numbers(pd.Series(["1", "2,5", None])) and not holds_numbers(pd.Series([True, False]))
    assert not holds_numbers(pd.Series([None, None], dtype=object))


@pytest.mark.parametrize(
    ("texts", "points", "expected"),
    [
        (["1,234.5", "2,345.6"], False, "thousands"),
        (["1,039", "987"], False, "thousands"),
        (["1,234,567", "1,000"], False, "thousands"),
        (["1,000 nM", "500 nM"], False, "thousands"),
        (["1,039", "1,100"], True, "thousands"),
        (["1,039", "1,100"], False, "unclear"),
        (["1,5", "2,25"], False, "decimal"),
        (["0,123", "1,234"], False, "decimal"),
        (["1,039", "1500"], True, "unclear"),
        (["1,5", "1,234.5"], False, "unclear"),
        (["1.5", "2"], False, "none"),
    ],
)
def test_commas_are_decided_by_the_whole_column(texts, points, expected):
    assert commas_of(pd.Series(texts), points) == expected


def test_thousands_are_left_out_of_numbers():
    def plain(*texts):
        return without_thousands(pd.Series(texts, dtype=object)).tolist()

    assert plain("1,234.5", "12.5", None)[:2] == ["1234.5", "12.5"]
    assert plain("1 234.5", "1'000", "1\u202f000\u00a0000") == ["1234.5", "1000", "1000000"]
    assert plain("1,000 nM", "500 nM") == ["1000 nM", "500 nM"]
    assert plain("1,5", "2,5") == ["1,5", "2,5"] and plain("a,b", "x") == ["a,b", "x"]
