"""Opening what ``--on`` names: worker processes of this machine, a scheduler by its address, or a cluster by a file."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import dask
import torch
import yaml
from distributed import Client, LocalCluster
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moa.errors import UserError
from moa.files import regular
from moa.learners.runtime import pick_device
from moa.progress import console, progress
from moa.training.cluster import tasks
from moa.training.cluster.executor import GPU, DaskExecutor
from moa.training.cluster.exposed import addresses, warnings_of
from moa.words import shown

#: Packages whose clusters a file may name: anything else that Python can import could do anything.
_PACKAGES = ("dask_jobqueue", "dask_kubernetes", "dask_cuda", "dask.distributed", "distributed")
#: Seconds to wait for the first worker of a scheduler that is running already.
_WAIT = 60
_SETTINGS = {
    # The stage's inputs go out inside a task, so that they outlive the worker that holds them: large, and on purpose.
    "distributed.admin.large-graph-warning-threshold": "100GB",
    "distributed.comm.timeouts.connect": "30s",
}


class Adapt(BaseModel):
    """Bounds of a cluster that grows and shrinks with the work; see Dask's ``adapt``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum: int = Field(0, ge=0)
    maximum: int = Field(ge=1)


class ClusterFile(BaseModel):
    """A cluster, as its YAML file describes it.

    Attributes:
        cluster: the class with its package, such as "dask_jobqueue.SLURMCluster".
        arguments: of the class.
        workers: number of workers to ask for.
        adapt: instead of ``workers``.
        wait: seconds to wait for the first worker.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str = Field(pattern=r"^[a-z_.]+\.[A-Z]\w+$")
    arguments: dict[str, Any] = Field(default_factory=dict)
    workers: int | None = Field(None, ge=1)
    adapt: Adapt | None = None
    wait: float = Field(3600, gt=0)

    @classmethod
    def read(cls, path: Path) -> ClusterFile:
        """Read a file.

        Raises:
            UserError: it is missing, is not YAML, or does not describe a cluster.
        """
        try:
            found = cls.model_validate(yaml.safe_load(regular(path).read_text(encoding="utf-8")) or {})
        except FileNotFoundError:
            raise UserError(
                f"--on {path}: not found; give local, local:8, the address of a scheduler (tcp://HOST:8786) or a file"
            ) from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            raise UserError(f"{path}: cannot be read as YAML ({str(error).splitlines()[0]})") from None
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise UserError(f"{path}: {place}: {first['msg']}") from None
        if not found.cluster.startswith(tuple(f"{package}." for package in _PACKAGES)):
            raise UserError(f"{path}: cluster: {found.cluster} is of none of the packages {', '.join(_PACKAGES)}")
        if found.workers and found.adapt:
            raise UserError(f"{path}: give workers or adapt, not both")
        return found

    def start(self, path: Path) -> Any:
        """Start the cluster.

        Raises:
            UserError: its package is not installed, it does not take the arguments, or it cannot be started.
        """
        package, _, name = self.cluster.rpartition(".")
        try:
            kind = getattr(import_module(package), name)
        except ModuleNotFoundError as error:
            raise UserError(f"{path}: cluster: the package {error.name} is not installed") from None
        except AttributeError:
            raise UserError(f"{path}: cluster: {package} has no {name}") from None
        try:
            cluster = kind(**self.arguments)
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}: arguments: {_reason(error)}") from None
        except Exception as error:  # each package has errors of its own
            raise _cannot_start(str(path), error) from None
        try:
            if self.adapt:
                cluster.adapt(minimum=self.adapt.minimum, maximum=self.adapt.maximum)
            elif self.workers:
                cluster.scale(self.workers)
        except Exception as error:
            with suppress(Exception):
                cluster.close()
            raise _cannot_start(str(path), error) from None
        return cluster


def _cannot_start(what: str, error: Exception) -> UserError:
    return UserError(f"{what}: the cluster cannot be started ({_reason(error)})")


def _reason(error: Exception) -> str:
    """What an error of another package says, in one line that starts with its type if it is not clear alone."""
    words = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return shown(words if isinstance(error, TypeError | ValueError) else f"{type(error).__name__}: {words}", 200)


@contextmanager
def open_cluster(
    on: str, device: Literal["auto", "cpu", "cuda"] | str = "auto", checkpoint_seconds: float = 300
) -> Iterator[DaskExecutor]:
    """The executor of a cluster, for the length of a block; what was started for it ends with it.

    ``on`` is as for ``moa.training.machines.open_executor``, ``checkpoint_seconds`` as for ``DaskExecutor``. The device
    "auto" takes GPUs where a worker offers them.

    Raises:
        UserError: there is no such cluster, or its workers do not fit.
    """
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(_SETTINGS))
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", module="distributed")
        client, wait, cluster = _connect(on, stack)
        for line in warnings_of(on, addresses(client, cluster)):
            console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
        with progress(f"workers of {on}") as bar:
            try:
                client.wait_for_workers(1, timeout=wait)
            except TimeoutError:
                address = client.scheduler_info(n_workers=0)["address"]
                raise UserError(
                    f"--on {on}: no worker came in {wait:.0f} s; start some: dask worker {address} --nthreads 1"
                ) from None
            workers = _facts(client, on)
            bar.update(0, f"{len(workers)} of them", log=True)
        device = _device(client, device, on)
        gpu = min((fact["gpu"] for fact in workers.values() if fact["gpu"]), default=0)
        executor = DaskExecutor(client, device, gpu, checkpoint_seconds)
        try:
            yield executor
        finally:
            executor.stop()


def _connect(on: str, stack: ExitStack) -> tuple[Client, float, Any]:
    """A client, closed with the stack, how many seconds to wait for a first worker, and what was started."""
    local = re.fullmatch(r"local(?::([1-9][0-9]{0,5}))?", on)
    if local:
        try:
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=int(local[1] or torch.get_num_threads()),
                    threads_per_worker=1,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    memory_limit=0,  # nothing is gained by ending a worker before the system does
                    silence_logs=logging.CRITICAL,
                    preload=["moa.training.cluster.ctrl_c"],
                )
            )
            return stack.enter_context(Client(cluster)), 300, cluster
        except (OSError, RuntimeError) as error:
            raise _cannot_start(f"--on {on}", error) from None
    if re.match(r"[a-z]+://", on):
        try:
            return stack.enter_context(Client(on, timeout="10s", set_as_default=False)), _WAIT, None
        except (OSError, TimeoutError, ValueError) as error:
            words = str(error).splitlines()
            raise UserError(
                f"--on {on}: no scheduler answers there ({words[0] if words else type(error).__name__}); start one: "
                "dask scheduler"
            ) from None
    described = ClusterFile.read(Path(on))
    cluster = described.start(Path(on))
    try:
        return stack.enter_context(Client(stack.enter_context(cluster))), described.wait, cluster
    except Exception as error:
        raise _cannot_start(on, error) from None


def _facts(client: Client, on: str) -> dict[str, dict[str, Any]]:
    """Facts about the workers, by address.

    Raises:
        UserError: a worker has no or another package than this process, or several threads.
    """
    try:
        workers = client.run(tasks.facts)
    except ModuleNotFoundError as error:
        raise UserError(
            f"--on {on}: a worker lacks the package {error.name}; install the same package on every machine"
        ) from None
    for address, worker in workers.items():
        if different := tasks.difference(tasks.package(), worker["package"]):
            raise UserError(f"--on {on}: worker {address}: {different}; install the same everywhere")
        if worker["threads"] != 1:
            raise UserError(
                f"--on {on}: worker {address} has {worker['threads']} threads, of which {worker['threads'] - 1} would "
                "be idle; start it with --nthreads 1, and more of them with --nworkers"
            )
    here = tasks.processor()
    if others := sorted({worker["processor"] for worker in workers.values()} - {here}):
        console.print(
            f"workers on {', '.join(others)}, this machine {here}: last digits can differ from those of one machine",
            style="yellow", highlight=False, soft_wrap=True,
        )  # fmt: skip
    return workers


def _device(client: Client, asked: str, on: str) -> str:
    """The device of units: GPUs where they are asked for, or there.

    Raises:
        UserError: a GPU is asked for and no worker offers one, so that units would wait without end.
    """
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    offered = any(worker["resources"].get(GPU) for worker in workers)
    if asked == "auto":
        return "cuda" if offered else "cpu"
    if asked == "cpu":
        return str(pick_device(asked))
    if not asked.startswith("cuda"):
        raise UserError(f"--device {asked}: unknown; choose auto, cpu or cuda")
    if not offered:
        raise UserError(
            f"--on {on} --device {asked}: no worker offers a GPU; start workers with dask-cuda: "
            "dask cuda worker ADDRESS --resources GPU=1"
        )
    return "cuda"
