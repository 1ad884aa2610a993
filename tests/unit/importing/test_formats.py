"""Every format gives the same wells, whatever the file is called."""

import gzip
import os
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moa.errors import UserError
from moa.importing import formats
from moa.importing.formats import read_source
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.source import Source
from support.assays import cell_painting, write_gct, write_gctx, write_h5ad

FIELD = os.environ.get("MOA_FIELD_DATA")
needs_field_data = pytest.mark.skipif(FIELD is None, reason="needs files of the field")


def assert_holds(profiles, values, wells):
    assert list(profiles.values.index) == list(values.index) and list(profiles.values) == list(values)
    np.testing.assert_allclose(profiles.values.to_numpy(), values.to_numpy(), rtol=1e-6)
    for column in wells:
        expected = wells[column].mask(wells[column] == "-666")
        assert profiles.wells[column].fillna("").tolist() == expected.fillna("").tolist(), column


@pytest.mark.parametrize("name", ["plate.gct", "plate.gctx", "plate.txt"])
def test_gct_by_content(tmp_path, read, small, name):
    values, wells, rows = small
    profiles = read(write_gct(tmp_path / name, values, wells, rows))
    assert_holds(profiles, values, wells)
    assert profiles.kind == "expression" and set(profiles.features["group"]) == {"genes"}
    assert profiles.features.loc["200814_at", ["entrez_id", "symbol", "probe_id"]].tolist() == [
        "5720",
        "PSME1",
        "200814_at",
    ]


def test_gctx(tmp_path, read, small):
    values, wells, rows = small
    assert_holds(read(write_gctx(tmp_path / "plate.bin", values, wells, rows)), values, wells)


@pytest.mark.parametrize("writer", [write_gct, write_gctx])
def test_gzipped(tmp_path, read, small, writer):
    values, wells, rows = small
    plain = writer(tmp_path / "plain", values, wells, rows)
    packed = tmp_path / "plate.dat"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert_holds(read(packed), values, wells)


def test_gct_as_windows_programs_write_it(tmp_path, read, small):
    values, wells, rows = small
    text = write_gct(tmp_path / "plate.gct", values, wells, rows).read_text().split("\n")
    text[0] += "\t\t\t"
    text[5] += "\t\t"
    path = tmp_path / "windows.gct"
    path.write_bytes(("\ufeff" + "\r\n".join(text)).encode())
    assert_holds(read(path), values, wells)


def test_gct_1_2(tmp_path, read, small):
    values, _, rows = small
    descriptions = rows[["pr_gene_symbol"]].rename(columns={"pr_gene_symbol": "Description"})
    profiles = read(write_gct(tmp_path / "plate.gct", values, pd.DataFrame(index=values.index), descriptions, "1.2"))
    assert_holds(profiles, values, pd.DataFrame(index=values.index))
    assert profiles.features["symbol"].tolist() == ["PSME1", "CISD1", "VDAC1"]


def test_missing_values_of_gct(tmp_path, read, small):
    values, wells, rows = small
    path = write_gct(tmp_path / "plate.gct", values, wells, rows)
    for form in ("na", "NaN", "", "nan", "NA"):
        path.write_text(path.read_text().replace("\t1.5\t", f"\t{form}\t"))
        assert np.isnan(read(path).values.iloc[0, 0])
        path = write_gct(tmp_path / "plate.gct", values, wells, rows)


@pytest.mark.parametrize("writer", [write_gct, write_gctx])
def test_only_measured_genes_are_read_unless_all_are_asked_for(tmp_path, read, small, writer):
    values, wells, rows = small
    path = writer(tmp_path / "plate", values, wells, rows.assign(pr_is_lmark=["1", "0", "1"]))
    notes = Notes()
    assert list(read(path, notes).values) == ["200814_at", "217140_s_at"]
    assert any("1 inferred gene" in line for line in notes.lines())
    assert read(path, genes="all").values.shape == (4, 3)


@pytest.mark.parametrize("x", ["dense", "csr", "csc"])
@pytest.mark.parametrize("layout", ["new", "old", "records"])
def test_h5ad(tmp_path, read, x, layout):
    screen = cell_painting(wells=24, features=9, compounds=4)
    profiles = read(write_h5ad(tmp_path / "screen.h5ad", screen.values, screen.wells, x, layout))
    np.testing.assert_allclose(profiles.values.to_numpy(), screen.values.to_numpy(), rtol=1e-6)
    assert list(profiles.values) == list(screen.values)
    for column in screen.wells:
        if screen.wells[column].dtype.kind != "f":
            assert profiles.wells[column].fillna("").tolist() == screen.wells[column].fillna("").tolist()
    assert profiles.wells["Metadata_mmoles_per_liter"].astype(float).tolist() == pytest.approx(
        screen.wells["Metadata_mmoles_per_liter"].tolist()
    )


def test_a_layer_of_h5ad(tmp_path, read):
    import h5py

    screen = cell_painting(wells=24, features=9, compounds=4)
    path = write_h5ad(tmp_path / "screen.h5ad", screen.values, screen.wells)
    with h5py.File(path, "a") as file:
        file.create_dataset("layers/raw", data=np.ones((24, 9)))
    assert (read(path, layer="raw").values == 1).all(axis=None)
    with pytest.raises(UserError, match="--layer other: no such layer; the file has raw"):
        read(path, layer="other")


def test_tables_by_content(tmp_path, read):
    screen = cell_painting(wells=24, features=9, compounds=4)
    table = screen.table
    table.to_csv(tmp_path / "a.parquet", index=False)
    table.to_csv(tmp_path / "b.csv", index=True)
    table.to_csv(tmp_path / "c.txt", sep="\t", index=False)
    table.to_csv(tmp_path / "d.csv", sep=";", index=False)
    table.to_csv(tmp_path / "e", index=False, compression="gzip")
    table.to_csv(tmp_path / "f.csv", index=False, encoding="utf-16")
    table.to_parquet(tmp_path / "g.csv")
    expected = read(tmp_path / "a.parquet")
    assert expected.values.shape == (24, 9) and expected.kind == "profiles"
    assert expected.values.index[0] == "Week1_27481:A01"
    assert set(expected.features["group"]) == {"Cells", "Cytoplasm", "Nuclei"}
    for name in ("b.csv", "c.txt", "d.csv", "e", "f.csv", "g.csv"):
        found = read(tmp_path / name)
        pd.testing.assert_frame_equal(found.values, expected.values)
        text = [column for column in expected.wells if column not in ("Metadata_file", "Metadata_mmoles_per_liter")]
        pd.testing.assert_frame_equal(found.wells[text], expected.wells[text])
        doses = found.wells["Metadata_mmoles_per_liter"].astype(float)
        assert doses.tolist() == pytest.approx(table["Metadata_mmoles_per_liter"].tolist())


def test_columns_that_are_no_features_are_reported(tmp_path, read):
    table = cell_painting(wells=24, features=9, compounds=4).table.assign(Count_Nuclei=range(24), remark="fine")
    table.to_csv(tmp_path / "screen.csv")
    notes = Notes()
    profiles = read(tmp_path / "screen.csv", notes)
    assert profiles.values.shape == (24, 9) and "remark" in profiles.wells
    noted = "\n".join(notes.lines())
    assert "index columns: (without a name)" in noted and "Count_Nuclei" in noted


def test_a_table_without_marks(tmp_path, read):
    """A table of viabilities: known names are metadata, text is metadata, numbers are features."""
    table = pd.DataFrame({"plate": ["1", "1"], "well": ["a1", "A2"], "compound": ["x", "y"], "dose": [1, 2]})
    table[["HEYA8", "RKO", "A204"]] = [[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]]
    table["note"] = ["good", "bad"]
    table.to_csv(tmp_path / "prism.csv", index=False)
    profiles = read(tmp_path / "prism.csv", group="cells", metadata=("RKO",))
    assert list(profiles.values) == ["HEYA8", "A204"] and list(profiles.values.index) == ["1:A01", "1:A02"]
    assert set(profiles.features["group"]) == {"cells"}
    assert profiles.wells["dose"].tolist() == ["1", "2"]


def test_columns_of_numbers_are_no_entrez_ids_when_they_count_from_zero(tmp_path, read):
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(4, 30)), columns=[str(i) for i in range(30)])
    table.insert(0, "Metadata_Well", ["A01", "A02", "A03", "A04"])
    table.to_csv(tmp_path / "embedding.csv", index=False)
    assert read(tmp_path / "embedding.csv").kind == "profiles"


def test_what_a_table_measures_is_recognised_by_its_columns(tmp_path, read):
    from moa.data.feature_names import competition_features

    known = competition_features()
    random = np.random.default_rng(0)

    def kind_of(columns, name):
        table = pd.DataFrame(random.normal(size=(4, len(columns))), columns=list(columns))
        table.insert(0, "compound", list("abcd"))
        table.to_csv(tmp_path / name, index=False)
        return read(tmp_path / name)

    symbols = [*known.loc[known["group"] == "genes", "symbol"], *(f"OTHER{n}" for n in range(4000))]
    genes = kind_of(symbols, "transcriptome.csv")
    assert genes.kind == "expression" and set(genes.features["group"]) == {"genes"}
    assert genes.features.loc["AARS1", "entrez_id"] == "16" and genes.features.loc["OTHER3", "symbol"] == "OTHER3"
    cells = kind_of(known.loc[known["group"] == "cells", "cell_line"], "prism.csv")
    assert cells.kind == "profiles" and set(cells.features["group"]) == {"cells"}
    both = kind_of(known.index, "competition.csv")
    assert both.kind == "expression" and both.features["group"].value_counts().to_dict() == {"genes": 772, "cells": 100}


def test_a_new_format_is_one_file(tmp_path, read, small, monkeypatch):
    (tmp_path / "plain_numbers.py").write_text(
        textwrap.dedent("""
        import pandas as pd
        from moa.importing.identities import identify
        from moa.importing.profiles import Profiles

        NAME, ORDER = "plain numbers", 1

        def recognises(source):
            return source.head.startswith(b"%numbers")

        def read(source, options, notes):
            lines = source.text().split()[1:]
            values = pd.DataFrame([[float(cell) for cell in line.split(":")] for line in lines])
            values.columns = [f"f{number}" for number in values]
            features, kind = identify(pd.DataFrame(index=values.columns), options)
            return Profiles(values, pd.DataFrame(index=values.index), features, kind)
        """)
    )
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path)])
    formats.formats.cache_clear()
    try:
        (tmp_path / "x.num").write_text("%numbers 1:2 3:4")
        profiles = read_source(Source(tmp_path / "x.num"), ImportOptions(), Notes())
        assert profiles.values.to_numpy().tolist() == [[1, 2], [3, 4]]
    finally:
        formats.formats.cache_clear()


@needs_field_data
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("mini_gctoo_for_testing.gct", (6, 6)),
        ("mini_gctoo_for_testing.gctx", (6, 6)),
        ("mini_gctx_with_metadata_n2x3.gctx", (2, 3)),
        ("older_version_v1_2.gct", (3, 5)),
        ("test_p100.gct", (96, 96)),
        ("test_parse_gct_int_ids.gct", (2, 3)),
        ("test_v1point2_n5x10.gct", (5, 10)),
    ],
)
def test_files_of_the_reference_reader(read, name, shape):
    profiles = read(Path(FIELD) / name)
    assert profiles.values.shape == shape
    assert np.isfinite(profiles.values.to_numpy()).any(axis=0).all()


@needs_field_data
def test_gct_and_gctx_of_the_reference_reader_agree(read):
    text, binary = (read(Path(FIELD) / f"mini_gctoo_for_testing.{kind}") for kind in ("gct", "gctx"))
    np.testing.assert_allclose(text.values.to_numpy(), binary.values.to_numpy(), atol=1e-4)
    assert list(text.values.index) == list(binary.values.index)
    shared = [column for column in text.wells if column in binary.wells and column != "Metadata_file"]
    pd.testing.assert_frame_equal(text.wells[shared], binary.wells[shared])


def test_lines_are_the_same_however_the_file_is_cut_into_blocks(tmp_path, monkeypatch):
    from moa.importing import source

    raw = b"a\r\nb\rc\n\n\r\r\nd"
    (tmp_path / "x.txt").write_bytes(raw)
    for block in range(1, len(raw) + 1):
        monkeypatch.setattr(source, "_BLOCK", block)
        assert list(Source(tmp_path / "x.txt").lines()) == [b"a", b"b", b"c", b"", b"", b"", b"d"]


def test_numbers_of_gct_are_written_as_numbers_are(tmp_path, read, small):
    path = write_gct(tmp_path / "plate.gct", *small)
    text = path.read_text()
    for form, value in ((" 1.5 ", 1.5), ("+1.5e0", 1.5), ("-66.6", -66.6)):
        path.write_text(text.replace("\t1.5\t", f"\t{form}\t", 1))
        assert read(path).values.iloc[0, 0] == value
    for form in ("1_5", "１.5", "0x1"):
        path.write_text(text.replace("\t1.5\t", f"\t{form}\t", 1), encoding="utf-8")
        with pytest.raises(UserError, match=f"line 9, column 'P1:A01' holds '{form}'; expected a number"):
            read(path)
