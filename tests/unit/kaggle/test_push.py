"""Pushing to Kaggle, against a stand-in for the client."""

import json
from itertools import count

import pytest
from typer.testing import CliRunner

from moa.cli import app
from moa.data.kaggle_client import KaggleClient
from moa.errors import UserError
from moa.kaggle.contents import Contents
from moa.kaggle.push import find, push, quota
from support.kaggle_client import install


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    """What Kaggle knows: a function that reads it, and changes parts of it."""
    return install(tmp_path, monkeypatch)


def write(path, kind, name, **facts):
    path.mkdir(parents=True)
    (path / f"{kind}-metadata.json").write_text(json.dumps({"id": f"me/{name}", **facts}))
    (path / "notebook.ipynb").write_text(name)


@pytest.fixture
def packed(tmp_path):
    """One data set, three kernels with a GPU, one that reads the output of two of them, and one that reads its.

    A fourth one and another data set are there, and not needed.
    """
    out = tmp_path / "kaggle"
    for name in ("code", "weights"):
        write(out / "datasets" / name, "dataset", name)
    write(out / "kernels" / "train-d", "kernel", "train-d", enable_gpu=True)
    training = [f"train-{name}" for name in "abc"]
    Contents(datasets=["code"], training=training, final=["again", "blend"], submissions=["blend"]).write(out)
    for name in "abc":
        write(out / "kernels" / f"train-{name}", "kernel", f"train-{name}", enable_gpu=True, kernel_sources=[])
    write(out / "kernels" / "blend", "kernel", "blend", enable_gpu=True, kernel_sources=["me/train-a", "me/train-b"])
    write(out / "kernels" / "again", "kernel", "again", enable_gpu=False, kernel_sources=["me/blend", "other/there"])
    return out


def states(pushed):
    return {kernel.name.removeprefix("me/"): kernel.state for kernel in pushed.kernels}


@pytest.mark.parametrize("word", ["QUEUED", "NEW_SCRIPT", "RUNNING"])
def test_kernels_that_have_not_begun_are_waited_for(word, kaggle, packed):
    kaggle(at_first=word)
    lines = []
    assert push(packed, wait=True, pause=lambda: None, tell=lines.append).finished
    assert not [line for line in lines if "failed" in line]


def test_all_run_in_order_two_at_a_time(kaggle, packed):
    lines, pauses = [], count()
    pushed = push(packed, wait=True, pause=lambda: next(pauses), tell=lines.append)
    assert pushed.finished and set(states(pushed)) == {"train-a", "train-b", "train-c", "blend", "again"}
    calls = [call.split("/")[-1] for call in kaggle()["calls"] if call.startswith("kernels push")]
    assert sorted(calls[:3]) == ["train-a", "train-b", "train-c"] and calls[3:] == ["blend", "again"]
    assert 3 < next(pauses) < 12 and "me/blend: complete" in lines


def test_without_waiting_a_second_call_goes_on(kaggle, packed):
    assert states(push(packed, pause=lambda: None)) == {
        "train-a": "running", "train-b": "running", "train-c": "to push", "blend": "to push", "again": "to push"
    }  # fmt: skip
    before = len(kaggle()["calls"])
    assert push(packed, wait=True, pause=lambda: None).finished
    again = [call for call in kaggle()["calls"][before:] if "push" in call or "create" in call or "version" in call]
    assert [call.split("/")[-1] for call in again] == ["train-c", "blend", "again"], "nothing is pushed twice"


def test_what_changed_is_pushed_again(kaggle, packed):
    push(packed, wait=True, pause=lambda: None)
    before = len(kaggle()["calls"])
    (packed / "datasets" / "code" / "notebook.ipynb").write_text("new")
    (packed / "kernels" / "again" / "notebook.ipynb").write_text("new")
    assert push(packed, wait=True, pause=lambda: None).finished
    calls = [call for call in kaggle()["calls"][before:] if "push" in call or "version" in call or "create" in call]
    assert len(calls) == 2 and calls[0].startswith("datasets version") and calls[1].endswith("again")


def test_what_needs_a_failed_kernel_waits_and_the_rest_runs(kaggle, packed):
    kaggle(failing=["me/train-b"])
    pushed = push(packed, wait=True, pause=lambda: None)
    assert states(pushed) == {
        "train-a": "complete", "train-b": "failed", "train-c": "complete", "blend": "waits", "again": "waits"
    }  # fmt: skip
    assert next(kernel for kernel in pushed.kernels if kernel.state == "failed").why == "out of memory"
    kaggle(failing=[])
    assert push(packed, wait=True, pause=lambda: None).finished, "a failed kernel is pushed again by the next call"


def test_gpus_that_other_kernels_use_are_waited_for(kaggle, packed):
    kaggle(others=2)
    assert push(packed, wait=True, pause=lambda: None).finished
    assert sum("push" in call for call in kaggle()["calls"]) == 6


def test_a_data_set_that_is_not_taken_ends_the_push(kaggle, packed, monkeypatch):
    monkeypatch.setattr(KaggleClient, "run", lambda self, *words: (words[1] == "status", "creation error: no space"))
    with pytest.raises(UserError, match="does not take the data set me/code: no space"):
        push(packed, pause=lambda: None)


def test_folders_without_kernels_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"push\.json: cannot be read .*; write the folder again: moa kaggle package"):
        find(tmp_path)
    (tmp_path / "push.json").write_text('{"kernels": []}')
    with pytest.raises(UserError, match=r"push\.json: .*write the folder again"):
        find(tmp_path)
    Contents(final=["a"]).write(tmp_path)
    write(tmp_path / "kernels" / "a", "kernel", "a")
    (tmp_path / "kernels" / "a" / "kernel-metadata.json").write_text("{")
    with pytest.raises(UserError, match=r"kernel-metadata\.json: cannot be read"):
        find(tmp_path)


def test_command_tells_the_quota_and_the_reason_of_a_failure(kaggle, packed, monkeypatch):
    monkeypatch.setattr("moa.kaggle.push.time.sleep", lambda seconds: None)
    kaggle(failing=["me/train-b"])
    result = CliRunner().invoke(app, ["kaggle", "push", str(packed), "--wait"])
    words = " ".join(result.output.split())
    assert result.exit_code == 1, result.output
    assert "4 kernels with a GPU, of at most 12 hours each, 2 at a time" in words
    assert "20.00h of 30.00h" in words and "out of memory" in words and "1 failed" in words
    kaggle(failing=[])
    result = CliRunner().invoke(app, ["kaggle", "push", str(packed), "--wait"])
    assert result.exit_code == 0 and "kaggle competitions submit lish-moa -k me/blend -v 1 -f" in result.output
    result = CliRunner().invoke(app, ["kaggle", "push", str(packed), "--submit"])
    assert result.exit_code == 0 and "me/blend: version 1 submitted" in result.output


def test_an_older_client_knows_no_quota(kaggle, monkeypatch):
    monkeypatch.setattr(KaggleClient, "run", lambda self, *words: (2, "invalid choice: 'quota'"))
    assert quota(KaggleClient()) == ""


def test_what_reads_trained_weights_is_pushed_again_when_they_change(kaggle, packed):
    metadata = packed / "kernels" / "blend" / "kernel-metadata.json"
    metadata.write_text(json.dumps(json.loads(metadata.read_text()) | {"dataset_sources": ["me/code"]}))
    push(packed, wait=True, pause=lambda: None)
    before = len(kaggle()["calls"])
    (packed / "datasets" / "code" / "notebook.ipynb").write_text("new")
    assert push(packed, wait=True, pause=lambda: None).finished
    calls = [call.split("/")[-1] for call in kaggle()["calls"][before:] if "kernels push" in call]
    assert calls == ["blend", "again"], "and no training"


def test_each_version_is_submitted_once(kaggle, packed):
    lines = []

    def submitted():
        return [call for call in kaggle()["calls"] if call.startswith("competitions submit")]

    push(packed, pause=lambda: None, submit=True)
    assert not submitted(), "it has not run yet"
    push(packed, wait=True, pause=lambda: None, submit=True, tell=lines.append)
    (call,) = submitted()
    assert call.startswith("competitions submit lish-moa -k me/blend -v 1 -f submission.csv -m blend, moa ")
    assert lines[-1] == "me/blend: version 1 submitted"
    push(packed, submit=True, tell=lines.append)
    assert len(submitted()) == 1 and lines[-1] == "me/blend: version 1 was submitted before"
    (packed / "kernels" / "blend" / "notebook.ipynb").write_text("new")
    kaggle(rules=1)
    with pytest.raises(UserError, match="accept the rules first, https://www.kaggle.com/c/lish-moa/rules"):
        push(packed, wait=True, pause=lambda: None, submit=True)
    kaggle(rules=0)
    push(packed, submit=True)
    assert " -v 2 " in submitted()[-1] and len(submitted()) == 3


def test_notes_of_an_earlier_version_are_understood(kaggle, packed):
    push(packed, wait=True, pause=lambda: None)
    file = packed / "pushed.json"
    file.write_text(json.dumps({name: note["content"] for name, note in json.loads(file.read_text()).items()}))
    before, lines = len(kaggle()["calls"]), []
    assert push(packed, submit=True, tell=lines.append).finished
    assert not [call for call in kaggle()["calls"][before:] if call.startswith(("kernels push", "competitions"))]
    assert "not submitted; its page shows which VERSION it is, then: kaggle competitions submit" in lines[-1]
