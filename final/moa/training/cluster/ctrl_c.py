"""Loaded by the worker processes of this machine: Ctrl-C reaches them too, and only the driver is to answer it."""

from __future__ import annotations

import signal
from typing import Any


def dask_setup(_worker: Any) -> None:
    """Ignore Ctrl-C. The driver cancels what runs, keeps what is finished and then ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
