"""Which machines the work runs on: this one, or those that an option ``--on`` names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from moa.errors import UserError
from moa.training.executors import LocalExecutor, UnitExecutor


@contextmanager
def open_executor(on: str | None = None, device: str = "auto") -> Iterator[UnitExecutor]:
    """The executor that an option ``--on`` names, for the length of a block.

    Args:
        on: None: this machine, without a cluster. "local" or "local:8": worker processes of this machine. An address
            such as "tcp://HOST:8786": the workers of that Dask scheduler. A path: a YAML file that describes a cluster.
        device: "auto", "cpu" or "cuda", of a cluster's units.

    Raises:
        UserError: the extra packages are not installed, or there is no such cluster, or its workers do not fit.
    """
    if on is None:
        yield LocalExecutor()
        return
    try:
        from moa.training.cluster import open_cluster
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("dask", "distributed"):
            raise
        raise UserError(
            f"--on {on}: the package {error.name} is missing; install what this needs: pip install 'moa[cluster]'"
        ) from None
    with open_cluster(on, device) as executor:
        yield executor
