"""Folders replaced whole, whenever the process is killed; locks of what is being written."""

import json
import os
import subprocess
import sys

import pytest

from moa.errors import UserError
from moa.files import exchanging_folder, replacing, replacing_folder
from moa.whole_folders import only_one
from support import TESTS


def test_killed_at_any_moment_there_is_the_old_or_the_new_folder(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "support.killed_writers", str(tmp_path)], cwd=TESTS, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for kind in ("in one step", "by renaming"):
        before, begun, after, left = zip(*found[kind], strict=True)
        assert len(begun) > 10 and (begun[0], begun[-1]) == ("old", "new")
        assert set(begun) == {"old", "new"}, "never nothing, never parts of both"
        assert list(begun) == sorted(begun, key=["old", "new"].index), "once it is the new one, it stays"
        assert set(after) == {"new"} and all(each == ["screen"] for each in left), "the next run removes what was left"
        if kind == "in one step":
            assert begun == before, "nothing had to be put back"


def test_an_error_leaves_the_old_folder(tmp_path):
    folder = tmp_path / "screen"
    for content in ("old", "new"):
        with exchanging_folder(folder) as temporary:
            (temporary / "a").write_text(content)
        assert (folder / "a").read_text() == content

    def stopped_halfway():
        with exchanging_folder(folder) as temporary:
            (temporary / "a").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stopped_halfway()
    assert (folder / "a").read_text() == "new" and [path.name for path in tmp_path.iterdir()] == ["screen"]


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "screen").symlink_to(tmp_path / "disk")
    with exchanging_folder(tmp_path / "screen") as temporary:
        (temporary / "a").write_text("new")
    assert (tmp_path / "screen").is_symlink() and (tmp_path / "disk" / "a").read_text() == "new"


def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(tmp_path):
    left = [tmp_path / ".a.json.x1.tmp", tmp_path / ".a.json.x2.tmp", tmp_path / ".b.json.x3.tmp"]
    for path in left:
        path.write_text("half")
    (tmp_path / ".a.json.x4.tmp").mkdir()
    with replacing(tmp_path / "a.json") as temporary:
        with replacing(tmp_path / "a.json") as other:
            assert temporary.exists() and other.exists() and temporary != other
            other.write_text("first")
        temporary.write_text("second")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.json.x3.tmp", "a.json"]
    assert (tmp_path / "a.json").read_text() == "second"


def test_a_folder_is_held_by_one(tmp_path):
    folder = tmp_path / "out"
    with only_one(folder, "busy"):
        (folder / "a").write_text("x")
        with pytest.raises(UserError, match="^busy$"), only_one(folder, "busy"):
            pass
    with only_one(folder, "busy"), replacing_folder(folder / "b"):
        pass
    with only_one(tmp_path / "empty", "busy"):
        assert (tmp_path / "empty").is_dir()
    assert not (tmp_path / "empty").exists() and (folder / "a").exists()


def test_a_process_that_is_killed_holds_nothing(tmp_path):
    pid = os.fork()
    if not pid:
        with only_one(tmp_path / "out", "busy"):
            os._exit(9)
    os.waitpid(pid, 0)
    with only_one(tmp_path / "out", "busy"):
        pass
