"""Results for other tools, read back."""

import numpy as np
import pandas as pd
import pytest

from moa.jobs.plate_exports import export, obs_columns, write_gct, write_result

ROWS = pd.Index(["p1:A01", "p1:A02", "p1:A03"], name="sig_id")


@pytest.fixture
def samples():
    return pd.DataFrame(
        {
            "cp_type": ["trt_cp", "trt_cp", "ctl_vehicle"],
            "distance": [1.5, 2.25, 0.5],
            "share_nearer": [0.2, 0.999, 0.1],
            "in_training": ["", "well", ""],
            "warning": ["", "far outside the training data", ""],
            "Metadata_compound": ["a\tb", 'quoted "c"', "DMSO"],
        },
        ROWS,
    )


@pytest.fixture
def p():
    return pd.DataFrame({"HDAC inhibitor": [0.25, 1e-7, 0.0], "kinase, other": [0.5, 0.123456789, 0.0]}, ROWS)


def lines(path):
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_gct_file_has_what_its_second_line_says(p, samples, tmp_path):
    write_gct(tmp_path / "p.gct", p, samples)
    found = lines(tmp_path / "p.gct")
    assert found[0] == ["#1.3"] and found[1] == ["2", "3", "0", "6"] and found[2] == ["id", *ROWS]
    assert {len(line) for line in found[2:]} == {4} and len(found) == 3 + 6 + 2
    fields = {line[0]: line[1:] for line in found[3:9]}
    assert fields["compound"] == ["a b", 'quoted "c"', "DMSO"] and fields["warning"][1].startswith("far")
    values = pd.DataFrame({line[0]: np.array(line[1:], float) for line in found[9:]}, ROWS)
    pd.testing.assert_frame_equal(values, p, rtol=1e-6)


def test_our_own_reader_takes_it_back(p, samples, tmp_path):
    from moa.importing.formats import gct
    from moa.importing.notes import Notes
    from moa.importing.options import ImportOptions
    from moa.importing.source import Source

    write_gct(tmp_path / "p.gct", p, samples)
    source = Source(tmp_path / "p.gct")
    assert gct.recognises(source)
    found = gct.read(source, ImportOptions(), Notes())
    np.testing.assert_allclose(np.asarray(found.values), p, rtol=1e-6)


def ranked(p):
    rows = []
    for well, row in p.iloc[:2].iterrows():
        for rank, (name, value) in enumerate(row.sort_values(ascending=False).items(), 1):
            rows.append((well, rank, name, value, "2 training compounds" if "HDAC" in name else ""))
    return pd.DataFrame(rows, columns=["sig_id", "rank", "moa", "probability", "caution"])


def test_columns_of_anndata_have_one_row_for_each_sample(p, samples):
    found = obs_columns(ranked(p), samples)
    assert list(found.index) == list(ROWS) and found["moa_1"].tolist()[:2] == ["kinase, other", "kinase, other"]
    assert found.loc["p1:A01", "moa_2_caution"] == "2 training compounds" and found.loc["p1:A01", "moa_1_caution"] == ""
    assert found.loc["p1:A03", ["moa_1", "moa_1_probability"]].isna().all(), "a control"
    assert found["moa_warning"].tolist() == samples["warning"].tolist() and found["moa_distance"].tolist()[0] == 1.5


def test_exports_of_a_folder(p, samples, tmp_path):
    p.to_csv(tmp_path / "probabilities.csv")
    samples.to_csv(tmp_path / "samples.csv")
    ranked(p).to_csv(tmp_path / "ranked.csv", index=False)
    assert export(tmp_path, "gct") == ["probabilities.gct"] and export(tmp_path, "obs") == ["obs.csv"]
    obs = pd.read_csv(tmp_path / "obs.csv", index_col=0)
    table = pd.DataFrame(index=ROWS).join(obs)
    assert table["moa_1_probability"].notna().sum() == 2 and table["moa_in_training"].iloc[1] == "well"


def test_tables_are_csv_or_parquet_by_their_ending(tmp_path):
    table = pd.DataFrame({"compound": ["a", "b"], "probability": np.float32([0.25, 0.125])})
    assert write_result(tmp_path / "compounds.csv", table) == "compounds.csv"
    write_result(tmp_path / "compounds.parquet", table)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "compounds.parquet"), table, check_dtype=False)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "compounds.csv"), table, check_dtype=False)
