"""moa data import: from a laboratory's files to a data folder, in one command."""

import json
import re

import pandas as pd
import pytest
import yaml

from moa.data.assay_files import load_assay
from support.assays import cell_painting, l1000_plate, write_gct, write_h5ad


def written(path, **settings):
    """A file of settings alone."""
    path.write_text(yaml.safe_dump({"settings": settings}))
    return path


@pytest.fixture(scope="module")
def screen():
    return cell_painting(wells=240, features=60, compounds=16, plates=2)


def test_a_screen_as_table_and_as_anndata(tmp_path, moa_here):
    """600 wells, 300 features, 40 compounds at 5 doses: both files give the same folder."""
    screen = cell_painting()
    screen.table.to_csv(tmp_path / "screen.csv.gz", index=False)
    write_h5ad(tmp_path / "screen.h5ad", screen.values, screen.wells, "csr")
    settings = ("--mapping", written(tmp_path / "settings.yaml", name="screen"))
    first = moa_here("data", "import", tmp_path / "screen.csv.gz", "--out", tmp_path / "a", *settings)
    moa_here("data", "import", tmp_path / "screen.h5ad", "--out", tmp_path / "b", *settings)
    assert "600, treated 540" in first.stdout and "guessed: profiles are raw" in first.stdout
    assert "5, 0.1235 to 10" in first.stdout and "40, for training 40" in first.stdout
    assay = load_assay(tmp_path / "a")
    assert assay == load_assay(tmp_path / "b") and len(assay.targets) == 8 and not assay.nonscored
    assert [len(group.columns) for group in assay.groups] == [100, 100, 100]
    a, b = (pd.read_csv(tmp_path / name / "train_features.csv").set_index("sig_id") for name in ("a", "b"))
    assert a.shape == (600, 302) and a["cp_dose"].nunique() == 5
    pd.testing.assert_frame_equal(a.reset_index(drop=True), b.reset_index(drop=True), atol=5e-3)
    labels = pd.read_csv(tmp_path / "a" / "train_targets_scored.csv").set_index("sig_id")
    treated = a["cp_type"] == "trt_cp"
    assert (labels[treated].sum(axis=1) == 1).all() and not labels[~treated].to_numpy().any()


def test_everything_is_stored_and_an_import_can_be_repeated(tmp_path, moa_here, screen):
    screen.table.drop(columns="Metadata_moa").to_csv(tmp_path / "screen.csv", index=False)
    mechanisms = pd.Series(screen.mechanisms).rename_axis("broad_id").rename("moa").iloc[:10]
    mechanisms.to_csv(tmp_path / "moa.csv")
    command = ["data", "import", tmp_path / "screen.csv", "--out", tmp_path / "out", "--moa", tmp_path / "moa.csv"]
    done = moa_here(*command)
    record = json.loads((tmp_path / "out" / "import.json").read_text())
    assert record["format"] == 2 and "version" not in record  # a number of its own, not that of the package
    assert [file["name"] for file in record["files"]] == ["screen.csv", "moa.csv"]
    unknown = next(note for note in record["notes"] if "without a known mechanism" in note["text"])
    assert len(unknown["items"]) == 6 and "6 compounds without a known mechanism" in done.stdout
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    settings = tmp_path / "settings.yaml"
    moa_here(*command, "--mapping", written(settings, unannotated="drop", least_compounds=1))
    assert not (tmp_path / "out" / "test_features.csv").exists()
    moa_here(*command)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    moa_here(*command, "--mapping", written(settings, unannotated="train"))
    assert len(pd.read_csv(tmp_path / "out" / "train_features.csv")) == 240
    assert not list(tmp_path.glob(".*"))  # no temporary folder is left


def test_two_plates_with_genes_named_differently(tmp_path, moa_here):
    genes = pd.DataFrame(
        {"pr_gene_id": ["5720", "55847", "7416", "2886"], "pr_gene_symbol": ["PSME1", "CISD1", "VDAC1", "GRB7"]},
        index=["200814_at", "218597_s_at", "217140_s_at", "210761_s_at"],
    )
    first = l1000_plate([{"id": probe} for probe in genes.index])
    write_gct(tmp_path / "one.gct", first.values, first.wells, genes)
    second = l1000_plate([{"id": probe} for probe in genes.index[:3]], seed=1)
    by_entrez = genes.iloc[:3].set_axis(genes["pr_gene_id"].iloc[:3])
    wells = second.wells.assign(det_plate="PLATE_A375_48H_X1", pert_itime="48 h")
    values = second.values.set_axis(by_entrez.index, axis=1)
    write_gct(tmp_path / "two.gct", values[values.columns[::-1]], wells, by_entrez)
    done = moa_here("data", "import", tmp_path / "one.gct", tmp_path / "two.gct", "--out", tmp_path / "out")
    assert "features that are not in every file: 1 of one.gct" in done.stdout
    assert "robust z-scores of 2 plates" in done.stdout and "prediction only" in done.stdout
    rows = pd.read_csv(tmp_path / "out" / "test_features.csv")
    assert len(rows) == 96 and rows["sig_id"].is_unique
    assert {each.column for each in load_assay(tmp_path / "out").conditions} == {"cp_time", "cp_dose"}
    assert set(rows["cp_time"]) == {24, 48}


def test_options_reach_the_import(tmp_path, moa_here, screen):
    """Those of the command, and the settings of a mapping; what is typed goes before."""
    screen.table.to_csv(tmp_path / "screen.csv", index=False)
    plain = yaml.safe_load(moa_here("data", "import", tmp_path / "screen.csv", "--dry-run").stdout)
    plain["settings"] |= {"plate_pattern": "(?P<run>[0-9]+)$", "against": "plate", "most_missing": 0.5, "clip": None}
    plain["settings"] |= {"merge_replicates": True, "select_features": True, "conditions": "none"}
    mapping = tmp_path / "changed.yaml"
    mapping.write_text(yaml.safe_dump(plain))
    done = moa_here(
        *("data", "import", tmp_path / "screen.csv", "--out", tmp_path / "out", "--dose", "mmoles_per_liter"),
        *("--control", "Metadata_broad_sample=dmso", "--mapping", mapping),
    )
    wells = pd.read_csv(tmp_path / "out" / "wells.csv")
    assert (
        load_assay(tmp_path / "out").conditions == () and "run" in wells and "merged into 80 treatments" in done.stdout
    )
    assert "all wells of the plate" in done.stdout and len(wells) == 104


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.gct"], "missing.gct: not found"),
        (["screen.csv", "--level", "6"], "--level 6: expected one of auto, 3, 4, 5"),
        (["screen.csv", "--dose", "dosis"], "--dose dosis: no such column"),
        (["screen.csv", "--wells", "none.csv"], "none.csv: not found"),
        (["screen.csv", "--mapping", "screen.csv"], "screen.csv: no mapping of an import; give the mapping.yaml"),
        (["screen.csv", "--features", "Nucleoli_*"], "--features Nucleoli_*: no such column; there are"),
    ],
)
def test_mistakes_are_one_line(tmp_path, moa_here, arguments, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cell_painting(wells=24, features=9, compounds=4).table.to_csv("screen.csv", index=False)
    done = moa_here("data", "import", *arguments, "--out", "out", check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and message in done.stderr
    assert not (tmp_path / "out").exists()


def test_data_check_compares_with_what_was_imported(tmp_path, moa_here, screen):
    screen.table.to_csv(tmp_path / "screen.csv", index=False)
    out = tmp_path / "out"
    moa_here("data", "import", tmp_path / "screen.csv", "--out", out)
    record = json.loads((out / "import.json").read_text())
    assert {file["name"] for file in record["written"]} | {"import.json"} == {path.name for path in out.iterdir()}
    assert moa_here("data", "check", out).returncode == 0
    for name, change, message in (
        (
            "wells.csv",
            lambda raw: raw.replace(b"Week1", b"Week9", 1),
            "wells.csv: its content is not what was imported",
        ),
        ("features.csv", lambda raw: raw + b"\n", "features.csv: has .* bytes, and .* were imported"),
        ("import.txt", lambda raw: None, "import.txt: missing, and import.json lists it"),
        ("import.json", lambda raw: raw[:-9], "import.json: damaged .*; import the plates again"),
        ("import.json", lambda raw: raw.replace(b"wells.csv", b"../ab.csv"), "not as `moa data import` writes it"),
    ):
        raw = (out / name).read_bytes()
        (out / name).unlink()
        if (changed := change(raw)) is not None:
            (out / name).write_bytes(changed)
        done = moa_here("data", "check", out, check=False)
        assert done.returncode == 2 and re.search(message, done.stderr) and "1 problem" in done.stderr, done.stderr
        (out / name).write_bytes(raw)
    assert moa_here("data", "check", out).returncode == 0


def test_a_folder_for_prediction_passes_the_check_as_what_it_is(tmp_path, moa_here, screen):
    screen.table.drop(columns="Metadata_moa").to_csv(tmp_path / "screen.csv", index=False)
    moa_here("data", "import", tmp_path / "screen.csv", "--out", tmp_path / "out")
    done = moa_here("data", "check", tmp_path / "out")
    assert "for prediction only" in done.stdout and "240, treated 216" in done.stdout
    (tmp_path / "out" / "train_features.csv").write_text("sig_id\n")
    assert moa_here("data", "check", tmp_path / "out", check=False).returncode == 2


def test_text_of_files_does_not_steer_the_terminal(tmp_path, moa_here, screen):
    evil = "x\x1b]0;title\x07\x1b[2J"
    table = screen.table.assign(Metadata_broad_sample=screen.table["Metadata_broad_sample"].replace("DMSO", evil))
    table.to_csv(tmp_path / "screen.csv", index=False)
    name = ("--mapping", written(tmp_path / "settings.yaml", name=evil))
    for options in (name, ("--control", "nothing"), ("--dose", evil)):
        command = ("data", "import", tmp_path / "screen.csv", "--out", tmp_path / "out", *options)
        done = moa_here(*command, check=False)
        assert done.stdout + done.stderr and not set("\x1b\x07") & set(done.stdout + done.stderr)


def test_a_dry_run_prints_the_mapping_and_writes_nothing(tmp_path, moa_here, screen):
    screen.table.to_csv(tmp_path / "screen.csv", index=False)
    done = moa_here("data", "import", tmp_path / "screen.csv", "--dry-run")
    assert [path.name for path in tmp_path.iterdir()] == ["screen.csv"]
    moa_here("data", "import", tmp_path / "screen.csv", "--out", tmp_path / "out")
    plain, written = yaml.safe_load(done.stdout), yaml.safe_load((tmp_path / "out" / "mapping.yaml").read_text())
    assert plain == written and plain["columns"]["Metadata_moa"]["role"] == "mechanism"
    assert all(column["reason"] for column in plain["columns"].values())
    assert "# guessed: fields by the names of their columns" in done.stdout
    refused = moa_here("data", "import", tmp_path / "screen.csv", check=False)
    assert refused.returncode == 2 and "name the folder to write with --out, or give --dry-run" in refused.stderr


def test_a_damaged_mapping_is_found_by_check(tmp_path, moa_here, screen):
    screen.table.to_csv(tmp_path / "screen.csv", index=False)
    moa_here("data", "import", tmp_path / "screen.csv", "--out", tmp_path / "out")
    (tmp_path / "out" / "mapping.yaml").write_text("format: [")
    done = moa_here("data", "check", tmp_path / "out", check=False)
    assert done.returncode == 2 and "mapping.yaml" in done.stderr and "Traceback" not in done.stderr


def test_values_that_no_measurement_has_are_reported(tmp_path, moa_here, screen):
    table = screen.table.copy()
    feature = screen.values.columns[3]
    table.loc[5, feature], table.loc[7, feature] = 1e38, float("-inf")
    table.to_csv(tmp_path / "screen.csv", index=False)
    done = moa_here("data", "import", tmp_path / "screen.csv", "--out", tmp_path / "out")
    printed = " ".join(done.stdout.split())
    assert f"2 values beyond ±1e+18, or infinite, count as missing, in features: {feature}" in printed
    assert moa_here("data", "check", tmp_path / "out").returncode == 0
    doses = table["Metadata_mmoles_per_liter"].astype(str)
    table["Metadata_mmoles_per_liter"] = doses.where(doses.index != 1, "1e400")  # a treated well
    table.to_csv(tmp_path / "screen.csv", index=False)
    done = moa_here("data", "import", tmp_path / "screen.csv", "--out", tmp_path / "out", check=False)
    assert done.returncode == 2 and "holds '1e400': no dose is so large" in done.stderr
