"""Checkpoints of units that are being trained, copied from the workers to the driver: a worker may be lost."""

from __future__ import annotations

import threading
from pathlib import Path

from distributed import Client

from moa.files import replacing
from moa.training.cluster import tasks
from moa.training.cluster.tasks import Task


class Checkpoints:
    """Copies checkpoints every so many ``seconds``."""

    def __init__(self, client: Client, seconds: float):
        self._client, self._seconds = client, seconds
        self._watched: dict[str, Path] = {}
        self._known: dict[str, dict[str, int]] = {}
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, task: Task) -> None:
        """Copy the checkpoints of a task from now on."""
        scratch = task.units[0].runtime.scratch
        if not task.keeps or scratch is None:
            return
        with self._lock:
            self._watched[task.key] = scratch
        if self._thread is None:
            self._thread = threading.Thread(target=self._copy, daemon=True)
            self._thread.start()

    def forget(self, task: Task) -> None:
        """Copy no more of a task: its scratch folder is about to be removed."""
        with self._lock:
            self._watched.pop(task.key, None)
            self._known.pop(task.key, None)

    def close(self) -> None:
        """Copy nothing more."""
        self._closed.set()

    def _copy(self) -> None:
        client = self._client
        while not self._closed.wait(self._seconds):
            for worker in list(client.nthreads()):  # one after another: a checkpoint may be large
                try:
                    found = client.run(tasks.checkpoints, self._known, workers=[worker], on_error="ignore")
                except (OSError, TimeoutError, ValueError):  # the worker is gone
                    continue
                except AttributeError:  # the client was closed meanwhile, and has no scheduler any more
                    if client.status == "running":
                        raise
                    return
                for key, files in (found.get(worker) or {}).items():
                    self._write(key, files)

    def _write(self, key: str, files: dict[str, tuple[int, bytes]]) -> None:
        with self._lock:
            scratch = self._watched.get(key)
            if scratch is None:
                return
            for name, (when, content) in files.items():
                with replacing(scratch / name) as temporary:
                    temporary.write_bytes(content)
                self._known.setdefault(key, {})[name] = when
