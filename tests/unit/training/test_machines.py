"""What --on names, and that nothing else needs the extra packages."""

import sys

import pytest

import moa
from moa.environment import FINAL
from moa.errors import UserError
from moa.learners.runtime import Runtime
from moa.training.executors import LocalExecutor
from moa.training.machines import open_executor
from support.imports import imported

CLUSTER = FINAL / "moa" / "training" / "cluster"


def test_dask_is_imported_by_its_executor_alone():
    importing = {
        path for path in (FINAL / "moa").rglob("*.py") if {"dask", "distributed", "dask_jobqueue"} & set(imported(path))
    }
    assert importing and all(path.parent == CLUSTER for path in importing)


def test_without_a_cluster_this_machine_runs_units():
    with open_executor() as executor:
        runtime = Runtime()
        assert type(executor) is LocalExecutor and executor.place(runtime) is runtime


def test_without_the_extra_the_message_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("moa.training.cluster")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(moa.training, "cluster", raising=False)
    for name in ("dask", "distributed"):
        monkeypatch.setitem(sys.modules, name, None)
    expected = r"--on local: the package dask is missing.*pip install 'moa\[cluster\]'"
    with pytest.raises(UserError, match=expected), open_executor("local"):
        pass


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cluster: os.System", "os.System is of none of the packages dask_jobqueue"),
        ("cluster: dask_jobqueue_evil.SLURMCluster", "is of none of the packages"),
        ("cluster: SLURMCluster", "cluster: String should match"),
        ("workers: 3", "cluster: Field required"),
        ("cluster: distributed.LocalCluster\nworkers: 2\nadapt: {maximum: 3}", "give workers or adapt, not both"),
        ("cluster: distributed.LocalCluster\nworker: 2", "worker: Extra inputs are not permitted"),
        ("cluster: dask_jobqueue.SLURMCluster\narguments: {queue: short}", "arguments: .*cores"),
        (
            "cluster: distributed.SSHCluster\narguments: {hosts: [nowhere.invalid]}",
            "the cluster cannot be started|asyncssh",
        ),
        ("cluster: distributed.NoCluster", "cluster: distributed has no NoCluster"),
        ("cluster: dask_kubernetes.KubeCluster", "the package dask_kubernetes is not installed"),
        ("- a\n: b", "cannot be read as YAML"),
        ("just text", "the file: Input should be"),
    ],
)
def test_what_is_wrong_in_a_cluster_file_is_reported_in_one_line(text, expected, tmp_path):
    pytest.importorskip("distributed", reason="needs the extra: pip install -e '.[cluster]'")
    path = write(tmp_path / "cluster.yaml", text)
    with pytest.raises(UserError, match=expected) as caught, open_executor(str(path), "cpu"):
        pass
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_slurm_file_asks_for_workers_of_one_thread(tmp_path):
    jobqueue = pytest.importorskip("dask_jobqueue", reason="needs the extra: pip install -e '.[cluster]'")
    from moa.training.cluster.opening import ClusterFile

    text = (FINAL / "docs" / "cluster.md").read_text(encoding="utf-8")
    start = text.index("# slurm.yaml")
    found = ClusterFile.read(write(tmp_path / "slurm.yaml", text[start : text.index("```", start)]))
    assert found.cluster == "dask_jobqueue.SLURMCluster" and found.adapt.maximum == 64
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with jobqueue.SLURMCluster(**found.arguments, scheduler_options=here) as cluster:
        script = cluster.job_script()
    for part in ("--nthreads 1 ", "--nworkers 8 ", "--lifetime 225m ", "#SBATCH -p short\n"):
        assert part in script


def test_a_cluster_that_cannot_be_started_is_reported_in_one_line(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="needs the extra: pip install -e '.[cluster]'")

    class Broken:
        def __init__(self, how):
            if how == "start":
                raise FileNotFoundError("sbatch\nnot found")

        def scale(self, n):
            raise RuntimeError("no permission")

        def close(self):
            closed.append(self)

    closed = []
    monkeypatch.setattr(distributed, "Broken", Broken, raising=False)
    for how, reason in (("start", "FileNotFoundError: sbatch"), ("scale", "RuntimeError: no permission")):
        path = write(tmp_path / "c.yaml", f"cluster: distributed.Broken\narguments: {{how: {how}}}\nworkers: 2")
        expected = rf"c.yaml: the cluster cannot be started \({reason}\)"
        with pytest.raises(UserError, match=expected) as caught, open_executor(str(path), "cpu"):
            pass
        assert "\n" not in str(caught.value)
    assert len(closed) == 1, "what was begun is ended"


def test_addresses_that_other_machines_reach_are_named():
    from moa.training.cluster.exposed import warnings_of

    alone = ["tcp://127.0.0.1:8786", "tls://[::1]:1", "inproc://1.2.3.4/5/6", "http://localhost:8787"]
    assert warnings_of("local", alone) == []
    lines = warnings_of(
        "c.yaml", [*alone, "tcp://10.0.0.1:8786", "tls://node:1", "http://0.0.0.0:8787", "tcp://[::]:9"]
    )
    assert "can reach tcp://10.0.0.1:8786, tls://node:1, http://0.0.0.0:8787 and 1 more;" in lines[0]
    assert "tcp://10.0.0.1:8786, tcp://[::]:9 without TLS" in lines[1] and len(lines) == 2
    assert len(warnings_of("tls://node:1", ["tls://node:1"])) == 1


def test_the_page_and_the_scheduler_of_this_process_are_among_the_addresses():
    distributed = pytest.importorskip("distributed", reason="needs the extra: pip install -e '.[cluster]'")
    from moa.training.cluster.exposed import addresses, warnings_of

    here = {"n_workers": 0, "host": "127.0.0.1", "processes": False}
    with (
        distributed.LocalCluster(**here, protocol="tcp", dashboard_address="0.0.0.0:0") as cluster,
        distributed.Client(cluster) as client,
    ):
        found = addresses(client, cluster)
        assert any(address.startswith("http://0.0.0.0:") for address in found)
        assert len(warnings_of("c.yaml", found)) == 1
