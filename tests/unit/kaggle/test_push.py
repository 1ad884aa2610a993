"""Pushing to Kaggle, against a stand-in for the client that keeps what Kaggle would know in a JSON file."""

import json
import stat
import sys
from itertools import count

import pytest
from typer.testing import CliRunner

from moa.cli import app
from moa.data.kaggle_client import KaggleClient
from moa.errors import UserError
from moa.kaggle.push import find, push, quota

#: Data sets need one look until they are ready, kernels two until they have ended.
FAKE = """#!{python}
import json, sys
from pathlib import Path
words, file = sys.argv[1:], Path("{state}")
kaggle = json.loads(file.read_text())
kaggle["calls"].append(" ".join(words))
def end(text="", status=0):
    file.write_text(json.dumps(kaggle))
    print(text)
    sys.exit(status)
def facts(kind):
    return json.loads((Path(words[words.index("-p") + 1]) / f"{{kind}}-metadata.json").read_text())
kernels, datasets = kaggle["kernels"], kaggle["datasets"]
if words[0] == "quota":
    end("resource,used,remaining,total,refreshAt\\nGPU,10.00h,20.00h,30.00h,2026-12-01\\nTPU,0h,20h,20h,2026-12-01")
elif words[:2] == ["datasets", "status"]:
    if words[2] not in datasets:
        end("403 Client Error: Forbidden", 1)
    datasets[words[2]] += 1
    end("ready" if datasets[words[2]] > 1 else "pending")
elif words[:2] in (["datasets", "create"], ["datasets", "version"]):
    name = facts("dataset")["id"]
    if (words[1] == "create") == (name in datasets):
        end("Dataset creation error: the title is already in use")
    datasets[name] = 0
    end("Your private Dataset is being created.")
elif words[:2] == ["kernels", "push"]:
    fact = facts("kernel")
    active = [name for name, kernel in kernels.items() if kernel["gpu"] and kernel["looks"] < 2]
    if fact["enable_gpu"] and len(active) + kaggle["others"] >= 2:
        kaggle["others"] = 0
        end("Kernel push error: Maximum batch GPU session count of 2 reached.")
    sources = [kernels[need] for need in fact["kernel_sources"] if need.startswith("me/")]
    assert all(kernel["looks"] >= 2 for kernel in sources), "pushed before its sources have ended"
    kernels[fact["id"]] = {{"gpu": fact["enable_gpu"], "looks": 0}}
    end("Kernel version 1 successfully pushed.  Please check progress at https://...")
elif words[:2] == ["kernels", "status"]:
    kernel = kernels[words[2]]
    kernel["looks"] += 1
    if kernel["looks"] < 2:
        end(f'{{words[2]}} has status "KernelWorkerStatus.{{kaggle["at_first"]}}"')
    if words[2] in kaggle["failing"]:
        end(f'{{words[2]}} has status "KernelWorkerStatus.ERROR"\\nFailure message: "out of memory"')
    end(f'{{words[2]}} has status "KernelWorkerStatus.COMPLETE"')
end("unknown command", 2)
"""


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    """What Kaggle knows: a function that reads it, and changes parts of it."""
    folder, state = tmp_path / "bin", tmp_path / "state.json"
    folder.mkdir()
    script = folder / "kaggle"
    script.write_text(FAKE.format(python=sys.executable, state=state))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("moa.data.kaggle_client._folder", lambda: str(folder))
    state.write_text(
        json.dumps({"calls": [], "datasets": {}, "kernels": {}, "failing": [], "others": 0, "at_first": "RUNNING"})
    )

    def known(**changes):
        facts = json.loads(state.read_text()) | changes
        state.write_text(json.dumps(facts))
        return facts

    return known


def write(path, kind, name, **facts):
    path.mkdir(parents=True)
    (path / f"{kind}-metadata.json").write_text(json.dumps({"id": f"me/{name}", **facts}))
    (path / "notebook.ipynb").write_text(name)


@pytest.fixture
def packed(tmp_path):
    """One data set, three kernels with a GPU, one that reads the output of two of them, and one that reads its."""
    out = tmp_path / "kaggle"
    write(out / "datasets" / "code", "dataset", "code")
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
    with pytest.raises(UserError, match="holds no kernels; write them first"):
        find(tmp_path)
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
    assert CliRunner().invoke(app, ["kaggle", "push", str(packed), "--wait"]).exit_code == 0


def test_an_older_client_knows_no_quota(kaggle, monkeypatch):
    monkeypatch.setattr(KaggleClient, "run", lambda self, *words: (2, "invalid choice: 'quota'"))
    assert quota(KaggleClient()) == ""
