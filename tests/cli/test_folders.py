"""After reproduce.sh every command finds its folders by itself."""

import shutil

import pytest

OLD, NEW = "simple-nn-old-cv", "simple-nn-new-cv"


@pytest.fixture
def place(data_dir, weights_of, tmp_path, monkeypatch):
    """A working directory as reproduce.sh leaves it after the demo, its predictions aside; two models are trained."""
    demo = tmp_path / "output" / "demo"
    demo.mkdir(parents=True)
    (demo / "data").symlink_to(data_dir)
    shutil.copytree(weights_of(OLD, NEW), demo / "weights")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands_after_the_demo(place, moa_here):
    demo = place / "output" / "demo"
    before = {path: path.stat().st_mtime_ns for path in demo.glob("weights/*/*/seed-*/fold-*/unit.json")}
    done = moa_here("train", OLD, "--device", "cpu")
    assert "no data in data/: this is the demo, with synthetic data" in done.stderr and "OOF log loss" in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in before}, "nothing is trained anew"
    moa_here("predict", OLD, NEW)
    moa_here("blend", "apply", "best-lb")
    searched = demo / "predictions" / "searched.yaml"
    moa_here("blend", "search", OLD, NEW, "--mixed", "allow", "--bootstrap", "20", "--out", searched)
    moa_here("report")
    moa_here("predict", "--features", "output/demo/data/test_features.csv", "--blend", OLD)
    assert str(demo.relative_to(place) / "data") in moa_here("data", "check").stdout
    written = {path.name for path in (demo, demo / "predictions", demo / "plates") for path in path.iterdir()}
    assert {"submission-best-lb.csv", "report.html", "searched.yaml", OLD, NEW, "probabilities.csv"} <= written
    assert [path.name for path in place.iterdir()] == ["output"], "and nothing anywhere else"


def test_real_data_have_folders_of_their_own(place, moa_here):
    (place / "data").mkdir()
    (place / "data" / "test_features.csv").symlink_to(place / "output" / "demo" / "data" / "test_features.csv")
    done = moa_here("predict", OLD, check=False)
    assert done.returncode == 2 and "output/kaggle/weights" in done.stderr and "this is the demo" not in done.stderr
    assert "demo/predictions" in moa_here("predict", OLD, "--profile", "demo").stdout


@pytest.mark.parametrize("command", ["train", "predict", "report", "compare", "blend apply", "blend search"])
def test_an_unknown_profile_is_refused(command, moa_here):
    words = command.split()
    names = [] if command == "report" else ["best-lb" if words[0] == "blend" else OLD]
    done = moa_here(*words, *names, "--profile", "big", check=False)
    assert done.returncode == 2 and "profile 'big' is unknown; choose one of: kaggle, demo" in done.stderr
