"""Malformed files and tables are refused in one line that names the place and says what to do."""

import gzip
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest

from moa.errors import UserError
from moa.importing.import_plates import import_plates
from moa.importing.options import ImportOptions
from support.assays import cell_painting, write_gct, write_gctx, write_h5ad


def gct(path, small, edit):
    lines = write_gct(path, *small).read_text().split("\n")
    path.write_text("\n".join(edit(lines) or lines))
    return path


def cell(lines, line, column, text):
    """Replace a cell; lines are counted from 1, columns from 0."""
    cells = lines[line - 1].split("\t")
    cells[column] = text
    lines[line - 1] = "\t".join(cells)


def line(number, text):
    return lambda lines: lines.__setitem__(number - 1, text)


# Rows of the file: 1 version, 2 sizes, 3 ids, 4 to 8 column fields, 9 to 11 genes.
GCT = {
    "version": (line(1, "#1.4"), r"line 1: GCT version 1\.4; expected #1\.2 or #1\.3"),
    "sizes in words": (line(2, "three\tfour\t2\t5"), r"line 2: 'three.*; expected 4 whole numbers"),
    "sizes of version 1.2": (line(2, "3\t4"), r"line 2: .* expected 4 whole numbers .* row fields"),
    "no wells": (line(2, "3\t0\t2\t5"), "line 2: 3 rows and 0 columns"),
    "more rows than stated": (line(2, "2\t4\t2\t5"), r"3 rows below line 8; line 2 says 2 \(correct line 2\)"),
    "cut short between lines": (
        lambda lines: lines[:10],
        r"2 rows below line 8; line 2 says 3 \(is the file cut short",
    ),
    "cut short in a line": (line(11, "217140_s_at\t7416\tVDAC1\t-3.0"), r"line 11: 4 cells; expected 7.*cut short"),
    "cut short in the header": (lambda lines: lines[:3], "3 lines; expected a header and rows"),
    "commas for tabs": (lambda lines: [each.replace("\t", ",") for each in lines], "line 2: '3,4,2,5'.* with tabs"),
    "a header of other width": (line(3, "id\tpr_gene_id\tP1:A01"), "line 3: 3 cells; expected 7, the ids of rows"),
    "a word for a number": (
        lambda lines: cell(lines, 10, 4, "high"),
        "line 10, column 'P1:A02' holds 'high'; expected a",
    ),
    "a decimal comma": (lambda lines: cell(lines, 9, 3, "1,5"), r"line 9, column 'P1:A01' holds '1,5'.*decimal comma"),
    "a gene twice": (lambda lines: cell(lines, 11, 0, "200814_at"), "lines 9 and 11: row id '200814_at' occurs twice"),
    "a well twice": (lambda lines: cell(lines, 3, 4, "P1:A01"), "line 3: column id 'P1:A01' occurs twice"),
    "a field twice": (
        lambda lines: cell(lines, 5, 0, "det_plate"),
        "line 5: column field 'det_plate' occurs twice; keep one of them",
    ),
    "one plate and well twice": (lambda lines: cell(lines, 5, 4, "A01"), "plate P1, well A01 occurs 2 times"),
    "a well without a plate": (lambda lines: cell(lines, 4, 4, "na"), "column 'det_plate' is empty in 1 well"),
    "a dose in an unknown unit": (
        lambda lines: cell(lines, 8, 4, "10 furlongs"),
        "'pert_dose': unknown unit 'furlongs'",
    ),
    "a word among doses": (
        lambda lines: cell(lines, 8, 4, "high"),
        "column 'pert_dose': 'high' among numbers; expected",
    ),
    "a dose with a comma": (lambda lines: cell(lines, 8, 4, "3,33"), "'pert_dose' holds '3,33': a decimal comma"),
    "a negative dose": (lambda lines: cell(lines, 8, 4, "-6.5"), "'pert_dose' holds -6.5 .*doses above 0"),
}


@pytest.mark.parametrize("case", GCT)
def test_gct(tmp_path, small, case):
    edit, message = GCT[case]
    refused(gct(tmp_path / "plate.gct", small, edit), message)


def refused(files, message, **options):
    """One line that matches, and no folder."""
    files = files if isinstance(files, list) else [files]
    out = files[0].parent / "out"
    with pytest.raises(UserError, match=message) as raised:
        import_plates(files, out, ImportOptions(**options))
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 320
    assert not out.exists()


def bytes_of(path, content):
    path.write_bytes(content)
    return path


def zipped(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.csv", "x")
    return path


KINDS = {
    "missing": (lambda path: path, "not found"),
    "a folder": (lambda path: path.mkdir() or path, "a folder; name the files in it"),
    "empty": (lambda path: bytes_of(path, b""), "the file is empty"),
    "a pickle": (lambda path: bytes_of(path, pickle.dumps([1])), "a Python pickle, which can run code"),
    "a zip archive": (zipped, "a zip archive or an Excel workbook; unpack it"),
    "a web page": (lambda path: bytes_of(path, b"<!DOCTYPE html><html>"), "a web page; the download probably failed"),
    "a damaged gzip": (lambda path: bytes_of(path, gzip.compress(b"a,b\n" * 9999)[:40]), "gzip file is damaged or cut"),
    "a damaged HDF5": (lambda path: bytes_of(path, b"\x89HDF\r\n\x1a\n" + b"0" * 99), "HDF5 file is damaged"),
    "a damaged parquet": (lambda path: bytes_of(path, b"PAR1" + b"0" * 99), "parquet file is damaged"),
    "no text": (
        lambda path: bytes_of(path, bytes(range(1, 250)) + b"\x00" * 9),
        "none of the formats|neither text nor",
    ),
    "an LFS pointer": (lambda path: bytes_of(path, b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
}


@pytest.mark.parametrize("case", KINDS)
def test_kinds_of_files(tmp_path, case):
    make, message = KINDS[case]
    refused(make(tmp_path / "plate.dat"), message)


TABLES = {
    "one column": ("values\n1\n2\n", "line 1: one column"),
    "no rows": ("Metadata_Well,Cells_A\n", "a header and no rows"),
    "a short row": ("Metadata_Well,Cells_A,Cells_B\nA01,1,2\nA02,1\n", "line 3: 2 cells; expected 3.*cut short"),
    "a long row": ("Metadata_Well,Cells_A\nA01,1\nA02,1,2\n", "line 3: 3 cells; expected 2"),
    "row names": ("Metadata_Well,Cells_A\n1,A01,1\n2,A02,1\n", "line 2: 3 cells; expected 2.*row names"),
    "a column twice": ("Metadata_Well,Cells_A,Cells_A\nA01,1,2\n", "line 1: column 'Cells_A' occurs twice"),
    "no header": ("1.5,2.5,3.5\n1.5,2.5,3.5\n", "line 1: numbers where the names of columns should be"),
    "a blank line": ("Metadata_Well,Cells_A\nA01,1\n\nA02,1\n", "line 3: blank, with rows below"),
    "a word": ("Metadata_Well,Cells_A\nA01,1\nA02,x\nA03,2\n", "column 'Cells_A', line 3 holds 'x'; expected a number"),
    "decimal commas and points": (
        "Metadata_Well;Cells_A;Cells_B\nA01;1,5;1.5\nA02;2,5;2.5\n",
        "line 2 holds '1,5'; a decimal comma",
    ),
    "commas of any meaning": ("Metadata_Well;Cells_A\nA01;1,500\nA02;2,500\n", "'1,500'; a decimal comma or thousands"),
    "no features": ("compound,moa\na,b\nc,d\n", "no column of numbers; give a plate map with --wells"),
    "an id twice": ("sig_id,Cells_A\nx,1\nx,2\n", "column 'sig_id': 'x' occurs twice"),
    "an open quote": ('"Metadata_Well,Cells_A\nA01,1\n', "line 1: a quote is left open in the header"),
    "one value": ("Metadata_Well,Cells_A\nA01,1\nA02,1\nA03,1\n", "every feature has one value in all wells"),
    "all missing": ("Metadata_Well,Cells_A,Cells_B\nA01,,\nA02,NaN,nan\nA03,,\n", "missing in every"),
    "too few wells": ("Metadata_Well,Cells_A,Cells_B\nA01,1,2\nA02,3,4\n", "plate .* has 2 wells: too few"),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables(tmp_path, case):
    text, message = TABLES[case]
    refused(bytes_of(tmp_path / "table.csv", text.encode()), message, level="raw")


def with_hdf5(path, edit):
    import h5py

    with h5py.File(path, "a") as file:
        edit(file)
    return path


def replaced(name, values):
    def edit(file):
        del file[name]
        if values is not None:
            file.create_dataset(name, data=values)

    return edit


GCTX = {
    "no matrix": (replaced("0/DATA/0/matrix", None), "HDF5 without '0/DATA/0/matrix'; expected a GCTX file"),
    "turned": (replaced("0/DATA/0/matrix", np.zeros((3, 4))), r"shape \(3, 4\) \(it is transposed\)"),
    "text": (replaced("0/DATA/0/matrix", np.full((4, 3), b"x")), "matrix' holds .*; expected numbers"),
    "no ids": (replaced("0/META/COL/id", None), "HDF5 without '0/META/COL/id'"),
    "ids twice": (replaced("0/META/ROW/id", np.array([b"a", b"a", b"b"])), "row id 'a' occurs twice"),
    "a short field": (
        replaced("0/META/COL/pert_type", np.array([b"a"])),
        r"pert_type' has the shape \(1,\); expected \(4,\)",
    ),
}


@pytest.mark.parametrize("case", GCTX)
def test_gctx(tmp_path, small, case):
    edit, message = GCTX[case]
    refused(with_hdf5(write_gctx(tmp_path / "plate.gctx", *small), edit), message)


H5AD = {
    "no X": ("dense", replaced("X", None), "has no X"),
    "X of other size": ("dense", replaced("X", np.zeros((2, 2))), r"'X' has the shape \(2, 2\); expected \(24, 9\)"),
    "an unknown encoding": ("csr", lambda file: file["X"].attrs.modify("encoding-type", "dok"), "encoding 'dok'"),
    "broken pointers": ("csr", replaced("X/indptr", np.arange(3)), r"'X' is no csr_matrix of 24 × 9"),
    "indices beyond": ("csr", replaced("X/indices", np.full(216, 99, np.int32)), "'X' is no csr_matrix of 24 × 9"),
    "a short column": (
        "dense",
        replaced("obs/Metadata_moa", np.zeros(3)),
        "'obs/Metadata_moa' has 3 values; expected 24",
    ),
    "a code beyond": ("dense", replaced("obs/Metadata_moa/codes", np.full(24, 99)), "code 99 of .* categories"),
    "no index": ("dense", replaced("obs/_index", None), "'obs' has no index"),
    "names twice": ("dense", replaced("var/_index", np.full(9, b"a")), "'var': the name 'a' occurs twice"),
    "an unread encoding": ("dense", lambda file: file.create_group("obs/odd"), "'obs/odd' has the encoding ''"),
}


@pytest.mark.parametrize("case", H5AD)
def test_h5ad(tmp_path, case):
    x, edit, message = H5AD[case]
    screen = cell_painting(wells=24, features=9, compounds=4)
    refused(with_hdf5(write_h5ad(tmp_path / "screen.h5ad", screen.values, screen.wells, x), edit), message)


JOINED = {
    "another screen's map": (
        "plate,well,dose\nP9,Z99,1\n",
        {},
        "column 'plate' holds none of the plates of the files, such as 'Week1_27481'",
    ),
    "another table": ("name,value\nx,1\ny,2\n", {}, "no column holds the plates of the files, such as 'Week1_27481'"),
    "a well twice": (
        "plate,well,drug\nWeek1_27481,A01,x\nWeek1_27481,A1,y\n",
        {},
        "lines 2, 3 both describe Week1_27481 A01, differently",
    ),
    "wells of several plates": (
        "well,drug\nA01,x\nA01,y\n",
        {},
        "names wells more than once but no plate of the files",
    ),
}


@pytest.mark.parametrize("case", JOINED)
def test_plate_maps(tmp_path, case):
    text, options, message = JOINED[case]
    cell_painting(wells=24, features=9, compounds=4).table.to_csv(tmp_path / "screen.csv", index=False)
    refused(tmp_path / "screen.csv", message, wells=(bytes_of(tmp_path / "map.csv", text.encode()),), **options)


MECHANISMS = {
    "no mechanisms": ("name,target\nBRD-K10000000,x\n", {}, "no column of mechanisms .* name it with --mechanism"),
    "other compounds": (
        "name,moa\naspirin,COX inhibitor\n",
        {},
        "none of its columns .* holds a compound of the wells",
    ),
    "too few compounds": ("name,moa\nBRD-K10000000,x\n", {}, "no mechanism has 2 compounds, the most is 1, since 1 of"),
    "comments alone": ("!only\n", {}, "only comment lines"),
}


@pytest.mark.parametrize("case", MECHANISMS)
def test_tables_of_mechanisms(tmp_path, case):
    text, options, message = MECHANISMS[case]
    cell_painting(wells=24, features=9, compounds=4, raw=False).table.to_csv(tmp_path / "screen.csv", index=False)
    refused(tmp_path / "screen.csv", message, moa=bytes_of(tmp_path / "moa.csv", text.encode()), **options)


OPTIONS = {
    "an unknown column": ({"dose": "Metadata_mmole"}, "--dose Metadata_mmole: no such column; there are"),
    "an unknown control": ({"control": "water"}, "--control: no well has 'water' in its compound; there are"),
    "an unknown condition": ({"conditions": ("weekday",)}, "^conditions weekday: no such column"),
    "a pattern without a name": ({"plate_pattern": "Week.*"}, "plate_pattern Week.*: has no named group"),
    "a pattern that fits nothing": ({"plate_pattern": "(?P<run>Run.)"}, "fits no plate, such as 'Week1_27481'"),
    "no pattern": ({"plate_pattern": "("}, "not a regular expression"),
    "too few vehicle wells": ({"against": "vehicle", "level": "raw"}, "plate Week.* has 1 vehicle well; use plate"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options_that_do_not_fit(tmp_path, case):
    options, message = OPTIONS[case]
    cell_painting(wells=24, features=9, compounds=4, mechanisms=2, raw=False).table.to_csv(
        tmp_path / "screen.csv", index=False
    )
    refused(tmp_path / "screen.csv", message, **options)


def test_levels_that_cannot_be_determined(tmp_path, small):
    values, wells, rows = small
    counts = write_gct(tmp_path / "counts.gct", values.abs() * 1000, wells, rows)
    refused(counts, "look like raw intensities or counts")
    odd = write_gct(tmp_path / "odd.gct", values.abs() * 0 + [0.1, 0.2, 0.3], wells, rows)
    refused(odd, "cannot be recognised .* --level 3, 4 or 5")


def test_files_that_do_not_go_together(tmp_path, small):
    values, wells, rows = small
    plate = write_gct(tmp_path / "plate.gct", values, wells, rows)
    refused([plate, plate], "a file is named twice")
    copy = write_gct(tmp_path / "copy.gct", values, wells, rows)
    refused([plate, copy], "plate.gct and copy.gct: plate P1, well A01 has the same values in both")
    screen = tmp_path / "screen.csv"
    cell_painting(wells=24, features=9, compounds=4).table.to_csv(screen, index=False)
    refused([plate, screen], "screen.csv holds profiles and plate.gct genes; import each into its own folder")
    other = pd.DataFrame({"Metadata_Well": ["A01"], "Cells_other": [1.0]})
    other.to_csv(tmp_path / "other.csv", index=False)
    refused([screen, tmp_path / "other.csv"], "share no features")


def test_a_folder_with_other_files_is_left_alone(tmp_path, small):
    plate = write_gct(tmp_path / "plate.gct", *small)
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="did not write, such as thesis.txt; name another folder"):
        import_plates([plate], out)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_a_missing_library_is_named(tmp_path, monkeypatch, small):
    import sys

    for library, path, message in (
        ("h5py", write_gctx(tmp_path / "plate.gctx", *small), "needs h5py; install it: pip install h5py"),
        ("pycytominer", tmp_path / "screen.csv", "which is missing; run: pip install pycytominer"),
    ):
        cell_painting(wells=24, features=9, compounds=4).table.to_csv(tmp_path / "screen.csv", index=False)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, library, None)
            refused(path, message, level="raw" if library == "pycytominer" else "auto")
