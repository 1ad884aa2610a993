"""moa data check and moa train report what is wrong in a file, and write nothing."""

from moa.data.schema import TRAIN_FEATURES
from support.competition_files import cell, edit


def test_what_is_wrong_is_reported_and_nothing_is_written(tmp_path, synthetic, moa_here):
    folder = synthetic(tmp_path / "data", rows=64, test_rows=16, seed=3)
    assert "64" in moa_here("data", "check", folder).stdout
    edit(folder / TRAIN_FEATURES, cell(5, "c-3", "high"))
    for arguments in (
        ["data", "check", folder],
        ["train", "simple-nn-old-cv", "--data", folder, "--weights", tmp_path / "w"],
    ):
        done = moa_here(*arguments, check=False)
        assert done.returncode == 2 and "'c-3', line 7" in done.stderr
        assert "Traceback" not in done.stderr + done.stdout and not (tmp_path / "w").exists()
