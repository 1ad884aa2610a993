"""Push the folders that ``moa.kaggle.package`` wrote, in an order that Kaggle can run, and wait for what they need.

Data sets go first, because kernels attach them; then the kernels, each after those whose output it reads. What has been
pushed is noted in ``pushed.json`` beside the folders, by a hash of their content: the same call again pushes what is
new or has failed, and goes on waiting for what still runs.
"""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from moa.data.kaggle_client import KaggleClient
from moa.errors import UserError
from moa.files import digest, sha256, write_json
from moa.progress import progress

#: Kernels with a GPU that Kaggle runs at a time for one account, and the hours after which it ends one.
AT_ONCE, HOURS = 2, 12
PUSHED = "pushed.json"
_REFUSED = "Kaggle refused this (403): is --user of `moa kaggle package` the account that the token belongs to?"
_METADATA = {"datasets": "dataset-metadata.json", "kernels": "kernel-metadata.json"}

State = Literal["to push", "running", "complete", "failed", "waits"]


@dataclass
class Item:
    """A folder to push.

    Attributes:
        folder: the folder.
        name: "USER/SLUG", by which Kaggle knows it.
        gpu: whether it is a kernel that needs a GPU.
        needs: names of the kernels whose output it reads.
        state: where it stands on Kaggle; "waits" for a kernel it needs.
        why: what went wrong, if it failed.
    """

    folder: Path
    name: str
    gpu: bool = False
    needs: tuple[str, ...] = ()
    state: State = "to push"
    why: str = ""

    @cached_property
    def content(self) -> str:
        """Hash of its files, which may be gigabytes: computed when it is first asked for."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return digest([[str(path.relative_to(self.folder)), sha256(path)] for path in files])


@dataclass
class Pushed:
    """What a push has done.

    Attributes:
        datasets, kernels: all folders, in the order they are pushed, with their state.
    """

    datasets: list[Item] = field(default_factory=list)
    kernels: list[Item] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether all kernels have run without an error."""
        return all(kernel.state == "complete" for kernel in self.kernels)


def find(folder: Path) -> Pushed:
    """The folders below ``folder``, as `moa.kaggle.package.package` wrote them, kernels after those they need.

    Raises:
        UserError: there are none, or their metadata cannot be read.
    """
    datasets = [Item(path, name) for path, name, _ in _metadata(folder, "datasets")]
    kernels = []
    for path, name, facts in _metadata(folder, "kernels"):
        kernels.append(Item(path, name, bool(facts["enable_gpu"]), tuple(facts["kernel_sources"])))
    if not kernels:
        raise UserError(f"{folder}: holds no kernels; write them first: moa kaggle package {folder} --user NAME")
    ordered: list[Item] = []
    left = {kernel.name: kernel for kernel in kernels}
    while left:
        free = [kernel for kernel in left.values() if not any(need in left for need in kernel.needs)]
        if not free:
            raise UserError(f"{folder / 'kernels'}: {', '.join(left)} need each other's output; package them again")
        ordered += free
        for kernel in free:
            del left[kernel.name]
    return Pushed(datasets, ordered)


def quota(client: KaggleClient) -> str:
    """What is left of this week's GPU hours, in words; empty where the client cannot tell (before 2.0)."""
    status, said = client.run("quota", "--csv")
    for row in csv.DictReader(said.splitlines()) if status == 0 else ():
        if row.get("resource") == "GPU":
            left = f"{row.get('remaining')} of {row.get('total')}"
            return f"GPU time left this week: {left}; it is counted anew at {row.get('refreshAt')}"
    return ""


def push(
    folder: Path,
    wait: bool = False,
    at_once: int = AT_ONCE,
    client: KaggleClient | None = None,
    pause: Callable[[], None] = lambda: time.sleep(60),
    tell: Callable[[str], None] = lambda text: None,
) -> Pushed:
    """Push what is not on Kaggle yet.

    Args:
        folder: as written by ``package``.
        wait: go on until all kernels have run; otherwise push those that need no output of others, and end.
        at_once: kernels with a GPU that run at a time; Kaggle allows two.
        client: the kaggle client; None: the one that is installed.
        pause: called between two looks at what is running.
        tell: called with a line for each push and each kernel that has ended.

    Returns:
        All folders with their state.

    Raises:
        UserError: Kaggle cannot be reached, or refuses the credentials or a data set.
    """
    client = client or KaggleClient()
    pushed, notes = find(folder), _Notes(folder / PUSHED)
    for dataset in pushed.datasets:
        _push_dataset(client, dataset, notes, pause, tell)
    for kernel in pushed.kernels:
        if notes.has(kernel):
            kernel.state = _state(client, kernel)
            if kernel.state == "failed":
                kernel.state, kernel.why = "to push", ""
    with progress("kernels", len(pushed.kernels), even=False) as bar:
        while True:
            _look(client, pushed.kernels, tell)
            _push_next(client, pushed.kernels, notes, at_once, tell)
            running = [kernel.name for kernel in pushed.kernels if kernel.state == "running"]
            ended = sum(kernel.state in ("complete", "failed") for kernel in pushed.kernels)
            bar.update(ended, f"running: {', '.join(name.split('/')[-1] for name in running)}" if running else "")
            if not wait or not any(kernel.state in ("running", "to push") for kernel in pushed.kernels):
                return pushed
            pause()


class _Notes:
    """What was pushed with which content, in a JSON file."""

    def __init__(self, path: Path):
        self._path = path
        try:
            noted = json.loads(path.read_text())
        except (OSError, ValueError):  # a file that cannot be read only means that all is pushed again
            noted = {}
        self._noted = noted if isinstance(noted, dict) else {}

    def has(self, item: Item) -> bool:
        return self._noted.get(item.name) == item.content

    def add(self, item: Item) -> None:
        self._noted[item.name] = item.content
        write_json(self._path, self._noted)


def _metadata(folder: Path, kind: str) -> Iterator[tuple[Path, str, dict]]:
    for path in sorted((folder / kind).glob("*/")):
        file = path / _METADATA[kind]
        try:
            facts = json.loads(file.read_text())
            yield path, str(facts["id"]), {"enable_gpu": False, "kernel_sources": [], **facts}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{file}: cannot be read ({type(error).__name__}); package the folders again") from None


def _ask(client: KaggleClient, *words: str) -> str:
    """What the client prints.

    Raises:
        UserError: it failed.
    """
    status, said = client.run(*words)
    if status:
        raise client.problem(said, _REFUSED)
    return said


def _push_dataset(
    client: KaggleClient, item: Item, notes: _Notes, pause: Callable[[], None], tell: Callable[[str], None]
) -> None:
    """Create the data set, or a new version of it, and wait until Kaggle has unpacked it."""
    if not notes.has(item):
        there = client.run("datasets", "status", item.name)[0] == 0
        how = ("version", "-m", f"content {item.content[:12]}") if there else ("create",)
        said = _ask(client, "datasets", *how, "-p", str(item.folder), "--dir-mode", "zip")
        if problem := re.search(r"(?:creation|version) error: (.+)", said):
            raise UserError(f"Kaggle does not take the data set {item.name}: {problem[1]}")
        notes.add(item)
        tell(f"{item.name}: {'new version' if there else 'created'}")
    while True:
        said = _ask(client, "datasets", "status", item.name)
        if "ready" in said.lower():
            item.state = "complete"
            return
        if re.search(r"\b(error|failed|deleted)\b", said.lower()):
            raise UserError(f"Kaggle could not unpack the data set {item.name}: {said.strip()}; push it again")
        pause()


def _state(client: KaggleClient, kernel: Item) -> State:
    said = _ask(client, "kernels", "status", kernel.name)
    found = re.search(r'has status "(?:\w+\.)?(\w+)"', said)
    word = found[1].lower() if found else ""
    if word == "complete":
        return "complete"
    if word in ("queued", "running", "new_script"):
        return "running"
    message = re.search(r'Failure message: "(.+)"', said)
    kernel.why = message[1] if message else (word or "no status")
    return "failed"


def _look(client: KaggleClient, kernels: list[Item], tell: Callable[[str], None]) -> None:
    """Ask for the state of what runs, and let those that need a failed kernel wait."""
    for kernel in kernels:
        if kernel.state == "running":
            kernel.state = _state(client, kernel)
            if kernel.state != "running":
                tell(f"{kernel.name}: {kernel.state}{': ' + kernel.why if kernel.why else ''}")
    by_name = {kernel.name: kernel for kernel in kernels}
    for kernel in kernels:  # those it needs come before it, so that this reaches through chains
        if kernel.state == "to push" and any(_hopeless(by_name.get(need)) for need in kernel.needs):
            kernel.state = "waits"


def _hopeless(kernel: Item | None) -> bool:
    return kernel is not None and kernel.state in ("failed", "waits")


def _push_next(
    client: KaggleClient, kernels: list[Item], notes: _Notes, at_once: int, tell: Callable[[str], None]
) -> None:
    """Push the kernels whose sources are complete, no more with a GPU than may run at a time."""
    complete = {kernel.name for kernel in kernels if kernel.state == "complete"}
    packed = {kernel.name for kernel in kernels}
    for kernel in kernels:
        if kernel.state != "to push" or not (set(kernel.needs) & packed) <= complete:
            continue
        if kernel.gpu and sum(other.gpu and other.state == "running" for other in kernels) >= at_once:
            continue
        said = _ask(client, "kernels", "push", "-p", str(kernel.folder))
        refused = re.search(r"Kernel push error: (.+)", said)
        if refused and "session count" in refused[1].lower():  # other kernels of this account use the GPUs
            return
        if refused:
            kernel.state, kernel.why = "failed", refused[1]
            tell(f"{kernel.name}: not taken: {kernel.why}")
            continue
        lost = re.search(r"not valid (?:dataset|competition|kernel) sources .*: (.+)", said)
        if lost:
            kernel.state, kernel.why = "failed", f"Kaggle does not find what it attaches: {lost[1]}"
            tell(f"{kernel.name}: {kernel.why}")
            continue
        notes.add(kernel)
        kernel.state = "running"
        tell(f"{kernel.name}: pushed")
