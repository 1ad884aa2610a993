"""New plates: files of any size in parts, what is written for each sample, and how familiar samples look."""

import re
import subprocess
import sys
from dataclasses import replace
from io import BufferedReader, FileIO, StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from moa.blending.blend import BlendSpec
from moa.blending.catalogue import plate_blend
from moa.blending.reliability import CAUTION
from moa.cli import app
from moa.data import parts
from moa.data.dataset import read_features
from moa.data.input_tables import read_input_table
from moa.data.parts import parse_part, read_parts
from moa.data.schema import CP_TYPE, TREATED
from moa.errors import DataError, UserError
from moa.jobs.options import PlateOptions
from moa.jobs.plates import predict_plates
from moa.parallel import Here, Processes
from moa.weights.trained import open_trained

MEMBERS = [{"model": "simple-nn-old-cv", "weight": 0.25}, {"model": "two-heads", "weight": 0.75}]
ALONE = plate_blend(MEMBERS[0]["model"])
SPEC = BlendSpec(name="two", title="Two", members=MEMBERS)
CPU = PlateOptions(device="cpu")


@pytest.fixture(scope="module")
def plate(dataset, tmp_path_factory):
    """New samples in another order, columns too: some treated, some controls, one far from everything known."""
    frame = dataset.test.iloc[:45].copy()
    far = frame.index[frame[CP_TYPE] == TREATED][7]
    frame.loc[far, [f"g-{i}" for i in range(0, 772, 2)]] = 9.5
    path = tmp_path_factory.mktemp("plates") / "my.csv"
    shuffled = frame.sample(frac=1, random_state=0).reset_index()
    shuffled[["g-7", "c-3", *shuffled.columns.drop(["g-7", "c-3"])]].to_csv(path, index=False)
    return path, far


@pytest.fixture(scope="module")
def weights(weights_of):
    return weights_of(*SPEC.weights.index)


@pytest.fixture(scope="module")
def written(plate, weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("written")
    return predict_plates(plate[0], SPEC, weights, out, PlateOptions(rows_at_a_time=20, device="cpu")), out


def test_probabilities_are_the_blend_of_the_models_and_controls_are_zero(written, plate, weights):
    result, out = written
    frame = read_features(plate[0])
    found = pd.read_csv(out / "probabilities.csv", index_col="sig_id")
    assert result.rows == len(found) == 45 and list(found.index) == list(frame.index) and not result.absent
    parts = [open_trained(m.model, weights).predict(frame) * m.weight for m in SPEC.members]
    np.testing.assert_allclose(found, (parts[0] + parts[1])[found.columns], rtol=1e-4, atol=1e-7)
    control = (frame[CP_TYPE] != TREATED).to_numpy()
    assert control.any() and (found[control] == 0).all(axis=None) and (found[~control] > 0).all(axis=None)


def test_ranked_mechanisms_and_warnings(written, plate, dataset):
    result, out = written
    found = pd.read_csv(out / "probabilities.csv", index_col="sig_id")
    ranked = pd.read_csv(out / "ranked.csv")
    samples = pd.read_csv(out / "samples.csv", index_col="sig_id", keep_default_na=False)
    treated = samples.index[samples[CP_TYPE] == TREATED]
    assert list(ranked["sig_id"].unique()) == list(treated) and len(ranked) == 10 * len(treated)
    first = ranked[ranked["rank"] == 1].set_index("sig_id")
    assert (first["moa"] == found.loc[treated].idxmax(axis=1)).all()
    prevalence = dataset.scored[dataset.treated].mean()
    np.testing.assert_allclose(
        first["times_prevalence"], first["probability"] / prevalence[first["moa"]].to_numpy(), atol=0.006
    )
    warned = samples.index[samples["warning"].str.contains("far outside the training data")]
    assert list(warned) == [plate[1]] and result.far == (samples["warning"] != "").sum() <= 3
    assert samples.loc[plate[1], "distance"] > 2 * samples["distance"].median()
    text = (out / "samples.csv").read_text().splitlines()
    digits = [len(row.split(",")[place].partition(".")[2]) for row in text[1:] for place in (2, 3)]
    assert max(digits) <= 4 and samples["share_nearer"].between(0, 1).all()


def test_one_row_and_only_controls(plate, weights, tmp_path):
    frame = pd.read_csv(plate[0])
    one = frame[frame[CP_TYPE] == TREATED].iloc[[0]]
    for name, rows in (("one", one), ("controls", frame[frame[CP_TYPE] != TREATED])):
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
        predict_plates(tmp_path / f"{name}.csv", plate_blend("simple-nn-old-cv"), weights, tmp_path / name, CPU)
        found = pd.read_csv(tmp_path / name / "probabilities.csv", index_col="sig_id")
        assert len(found) == len(rows) and (found == 0).all(axis=None) == (name == "controls")
        assert len(pd.read_csv(tmp_path / name / "ranked.csv")) == (10 if name == "one" else 0)


def rows_of(path, size):
    """The rows of a file, read in parts."""
    found = [parse_part(part, path.name) for part in read_parts(path, size)]
    assert not any(part.problems for part in found)
    return pd.concat(part.rows for part in found)


def test_parts_of_any_size_are_the_whole(plate, tmp_path):
    whole = read_features(plate[0])
    parquet = tmp_path / "plate.parquet"
    whole.to_parquet(parquet, row_group_size=10)
    for size in (13, 45, 1000):
        pd.testing.assert_frame_equal(rows_of(plate[0], size), whole, check_exact=True)
        pd.testing.assert_frame_equal(rows_of(parquet, size), whole, check_exact=True)
    ending = tmp_path / "blank.csv"
    ending.write_text(plate[0].read_text() + "\n\n\n")  # blank lines at the end are ignored
    assert [len(rows_of(ending, size)) for size in (44, 45, 46)] == [45] * 3
    cut = tmp_path / "cut.csv"
    cut.write_text(plate[0].read_text().rstrip("\n"))
    assert len(rows_of(cut, 45)) == 45


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_is_not_read_further_than_its_parts_need(kind, tmp_path, monkeypatch):
    path = tmp_path / f"many.{kind}"
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(100_000, 8)))
    frame = frame.rename(columns=lambda place: f"g-{place}").rename_axis("sig_id").reset_index()
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path, row_group_size=2_000)
    opened, read = parts._open, []

    def counting(features):
        class File(FileIO):
            def readinto(self, buffer):
                read.append(super().readinto(buffer))
                return read[-1]

        opened(features).close()
        return BufferedReader(File(features))

    monkeypatch.setattr(parts, "_open", counting)
    assert next(read_parts(path, 1_000)) is not None
    assert 0 < sum(read) < path.stat().st_size / 10


def spoil(path, out, line, old, new):
    lines = path.read_text().splitlines(keepends=True)
    lines[line - 1] = new if old is None else lines[line - 1].replace(old, new, 1)
    out.write_text("".join(lines))
    return out


def test_what_is_wrong_is_reported_by_its_line_in_the_whole_file_and_nothing_is_written(plate, weights, tmp_path):
    path, bad = plate[0], tmp_path / "bad.csv"
    fifth = path.read_text().splitlines()[4] + "\n"
    for line, old, new, expected in (
        (31, ",trt_cp,", ",trt,", "column 'cp_type', line 31"),
        (42, None, fifth, "line 42.*each id once, found it above already"),
        (20, None, "1.0,2.0\n", "line 20 has 2 values"),
        (18, None, "\n" + fifth, "line 18: blank"),
        (1, "c-99", "c-98", "repeated column 'c-98'"),
        (1, "c-99", "c-100", "missing column 'c-99'"),
    ):
        spoil(path, bad, line, old, new)
        with pytest.raises(DataError, match=expected):
            predict_plates(bad, SPEC, weights, tmp_path / "out", PlateOptions(rows_at_a_time=16, device="cpu"))
    bad.write_text(path.read_text().splitlines()[0] + "\n")
    for file, expected in ((bad, "holds a header and no rows"), (tmp_path / "none.csv", "not found")):
        with pytest.raises(UserError, match=expected):
            predict_plates(file, SPEC, weights, tmp_path / "out", CPU)
    assert not list((tmp_path / "out").glob("*.csv"))
    with pytest.raises(UserError, match="of any member of two"):
        predict_plates(path, SPEC, tmp_path, tmp_path / "out")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_is_that_of_a_part(plate, tmp_path):
    """Reading six times the rows in parts takes hardly more memory; reading them at once does."""
    header, *rows = plate[0].read_text().splitlines(keepends=True)
    place = header.split(",").index("sig_id")
    for count in (1000, 6000):
        with (tmp_path / f"{count}.csv").open("w") as file:
            file.write(header)
            for number in range(count):
                cells = rows[number % len(rows)].split(",")
                cells[place] = f"id_{number}"
                file.write(",".join(cells))
    code = (
        "import sys; from pathlib import Path; from moa.data.parts import parse_part, read_parts;"
        "from moa.data.dataset import read_features; path = Path(sys.argv[1]);"
        "[len(parse_part(p, '')[1]) for p in read_parts(path, 500)] if sys.argv[2] == 'parts' else read_features(path);"
        "print(next(int(line.split()[1]) // 1024 for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    few, many, whole = (
        int(subprocess.check_output([sys.executable, "-c", code, str(tmp_path / f"{count}.csv"), way]))
        for count, way in ((1000, "parts"), (6000, "parts"), (6000, "whole"))
    )
    assert many - few < 0.5 * (whole - few) and whole - few > 60, (few, many, whole)


def test_what_is_wrong_in_a_parquet_file_is_reported_by_its_row(plate, weights, tmp_path):
    whole, path = read_features(plate[0]).reset_index(), tmp_path / "plate.parquet"

    def report(table):
        table.to_parquet(path)
        with pytest.raises(DataError) as caught:
            predict_plates(path, SPEC, weights, tmp_path / "out", PlateOptions(rows_at_a_time=16, device="cpu"))
        return "; ".join(caught.value.problems)

    twice = whole.copy()
    twice.loc[40, "sig_id"] = twice.loc[2, "sig_id"]
    assert re.search("column 'sig_id', row 41 .*each id once, found it above already", report(twice))
    empty = whole.copy()
    empty.loc[20, "g-3"] = np.nan
    assert re.search("column 'g-3', row 21 .*found none", report(empty))
    assert "missing column 'sig_id'" in report(whole.drop(columns="sig_id"))
    assert "missing column 'c-7'" in report(whole.drop(columns="c-7"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="plate.parquet: the parquet file is damaged or cut short"):
        predict_plates(path, SPEC, weights, tmp_path / "out", CPU)


def tables(folder, kind="csv"):
    return {path.name: path.read_bytes() for path in Path(folder).glob(f"*.{kind}")}


def test_processes_parquet_and_csv_give_the_same_tables(written, plate, weights, tmp_path):
    options = {"rows_at_a_time": 20, "device": "cpu"}
    spread = predict_plates(
        plate[0], SPEC, weights, tmp_path / "spread", PlateOptions(**options), Processes(2, patience=-1)
    )
    assert spread.rows == 45 and tables(tmp_path / "spread") == tables(written[1])
    assert not (tmp_path / "spread" / ".parts").exists()
    parquet = tmp_path / "plate.parquet"
    read_features(plate[0]).to_parquet(parquet)
    predict_plates(parquet, SPEC, weights, tmp_path / "csv", PlateOptions(format="csv", **options))
    assert tables(tmp_path / "csv") == tables(written[1])
    result = predict_plates(parquet, SPEC, weights, tmp_path / "parquet", PlateOptions(**options))
    assert result.files == ["probabilities.parquet", "ranked.parquet", "samples.parquet"]
    for name in result.files:
        table = pd.read_parquet(tmp_path / "parquet" / name)
        text = table.to_csv(index=False)
        csv = pd.read_csv(written[1] / name.replace("parquet", "csv"), keep_default_na=False)
        pd.testing.assert_frame_equal(
            pd.read_csv(StringIO(text), keep_default_na=False), csv, check_exact=False, rtol=1e-6
        )


class Recording(Here):
    """Counts the parts that it predicts; stops before some part."""

    def __init__(self, stop=None):
        self.done, self.stop = 0, stop

    def stream(self, prepare, work, items):
        for each in super().stream(prepare, work, items):
            if self.done == self.stop:
                raise KeyboardInterrupt
            yield each
            self.done += 1


def test_a_run_that_stopped_goes_on_after_the_parts_that_are_there(plate, weights, tmp_path):
    path, options = tmp_path / "my.csv", PlateOptions(rows_at_a_time=4, device="cpu")
    path.write_bytes(plate[0].read_bytes())
    straight = predict_plates(path, ALONE, weights, tmp_path / "straight", options)
    with pytest.raises(KeyboardInterrupt):
        predict_plates(path, ALONE, weights, tmp_path / "out", options, Recording(stop=7))
    assert not tables(tmp_path / "out")
    lines = path.read_text().splitlines(keepends=True)
    again = Recording()
    assert predict_plates(path, ALONE, weights, tmp_path / "out", options, again) == replace(
        straight, folder=tmp_path / "out"
    )
    assert again.done == 12 - 7
    assert tables(tmp_path / "out") == tables(tmp_path / "straight"), "part 10 does not come before part 2"

    options = options.model_copy(update={"rows_at_a_time": 12})
    with pytest.raises(KeyboardInterrupt):
        predict_plates(path, ALONE, weights, tmp_path / "out", options, Recording(stop=2))
    changed = [*lines[:2], lines[3], lines[2], *lines[4:]]  # two rows of the first part
    path.write_text("".join(changed))
    again = Recording()
    predict_plates(path, ALONE, weights, tmp_path / "out", options, again)
    assert again.done == 4 - 1 and tables(tmp_path / "out") != tables(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        predict_plates(path, ALONE, weights, tmp_path / "out", options, Recording(stop=2))
    again = Recording()
    predict_plates(path, ALONE, weights, tmp_path / "out", options.model_copy(update={"top": 3}), again)
    assert again.done == 4, "other settings, other parts"


def test_the_command(plate, weights, tmp_path, moa_command):
    arguments = ["predict", "--weights", weights, "--out", tmp_path / "out", "--device", "cpu"]
    output = moa_command(*arguments, "--features", plate[0], "--blend", "simple-nn-old-cv", "--top", 3).stdout
    assert "45 samples" in output and "unlike the training data: see samples.csv" in output.replace("\n", " ")
    assert pd.read_csv(tmp_path / "out" / "ranked.csv")["caution"].notna().any()
    assert f"marked. {CAUTION}" in " ".join(output.split()), "the column is explained where it is written"
    assert pd.read_csv(tmp_path / "out" / "ranked.csv")["rank"].max() == 3
    for wrong, expected in (
        (["--features", plate[0]], "name one blend or model"),
        (["--features", plate[0], "--blend", "nope"], "no model or blend is named 'nope'"),
        ([], "name MODELS"),
    ):
        failed = CliRunner().invoke(app, [*map(str, arguments), *map(str, wrong)]).exception
        assert isinstance(failed, UserError) and expected in str(failed)


def test_line_numbers_of_a_whole_file_are_as_before(plate, tmp_path):
    from moa.data.problems import Problems

    bad, problems = spoil(plate[0], tmp_path / "bad.csv", 9, None, "1,2\n"), Problems()
    read_input_table(bad, (), problems)
    assert "line 9 has 2 values" in problems[0]
