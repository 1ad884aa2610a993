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
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal

from moa.data.kaggle_client import KaggleClient
from moa.errors import UserError
from moa.files import digest, sha256, write_json
from moa.progress import progress

#: Kernels with a GPU that Kaggle runs at a time for one account, and the hours after which it ends one.
AT_ONCE, HOURS = 2, 12
_REFUSED = "Kaggle refused this (403): is --user of `moa kaggle package` the account that the token belongs to?"
_METADATA = {"datasets": "dataset-metadata.json", "kernels": "kernel-metadata.json"}

State = Literal["to push", "running", "complete", "failed", "waits"]
#: What Kaggle calls the states; any other is a failure.
_STATES: dict[str, State] = {"complete": "complete", "queued": "running", "running": "running", "new_script": "running"}


@dataclass
class Item:
    """A folder to push."""

    folder: Path
    name: str  # "USER/SLUG", by which Kaggle knows it
    gpu: bool = False  # whether it is a kernel that needs a GPU
    needs: tuple[str, ...] = ()  # names of the kernels whose output it reads
    state: State = "to push"  # where it stands on Kaggle; "waits" for a kernel it needs
    why: str = ""  # what went wrong, if it failed

    @cached_property
    def content(self) -> str:
        """Hash of its files, which may be gigabytes: computed when it is first asked for."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return digest([[str(path.relative_to(self.folder)), sha256(path)] for path in files])


@dataclass
class Pushed:
    """What a push has done: all folders with their state, in the order they are pushed."""

    datasets: list[Item]
    kernels: list[Item]

    @property
    def finished(self) -> bool:
        """Whether all kernels have run without an error."""
        return all(kernel.state == "complete" for kernel in self.kernels)


def find(folder: Path) -> Pushed:
    """The folders below ``folder``, as `moa.kaggle.package.package` wrote them, kernels after those they need.

    Raises:
        UserError: there are none, or their metadata cannot be read.
    """
    datasets, kernels = _items(folder, "datasets"), {kernel.name: kernel for kernel in _items(folder, "kernels")}
    if not kernels:
        raise UserError(f"{folder}: holds no kernels; write them first: moa kaggle package {folder} --user NAME")
    needs = {name: [need for need in kernel.needs if need in kernels] for name, kernel in kernels.items()}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        names = ", ".join(error.args[1][1:])
        raise UserError(f"{folder / 'kernels'}: {names} need each other's output; package them again") from None
    return Pushed(datasets, [kernels[name] for name in order])


def quota(client: KaggleClient) -> str:
    """What is left of this week's GPU hours, in words; empty where the client does not know it (before 2.0)."""
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
    return _Push(folder, client or KaggleClient(), pause, tell).run(wait, at_once)


class _Push:
    """A push in progress; what was pushed with which content is noted in ``pushed.json``."""

    def __init__(self, folder: Path, client: KaggleClient, pause: Callable[[], None], tell: Callable[[str], None]):
        self.found, self.client, self.pause, self.tell = find(folder), client, pause, tell
        self.file = folder / "pushed.json"
        try:
            noted = json.loads(self.file.read_text())
        except (OSError, ValueError):  # a file that cannot be read only means that all is pushed again
            noted = {}
        self.noted = noted if isinstance(noted, dict) else {}

    def run(self, wait: bool, at_once: int) -> Pushed:
        kernels = self.found.kernels
        for dataset in self.found.datasets:
            self.push_dataset(dataset)
        for kernel in kernels:
            if self.is_noted(kernel) and self.look(kernel) == "failed":
                kernel.state, kernel.why = "to push", ""
        with progress("kernels", len(kernels), even=False) as bar:
            while True:
                self.look_at_all()
                self.push_next(at_once)
                running = [kernel.name.split("/")[-1] for kernel in kernels if kernel.state == "running"]
                ended = sum(kernel.state in ("complete", "failed") for kernel in kernels)
                bar.update(ended, f"running: {', '.join(running)}" if running else "")
                if not wait or not any(kernel.state in ("running", "to push") for kernel in kernels):
                    return self.found
                self.pause()

    def is_noted(self, item: Item) -> bool:
        return self.noted.get(item.name) == item.content

    def note(self, item: Item) -> None:
        self.noted[item.name] = item.content
        write_json(self.file, self.noted)

    def ask(self, *words: str) -> str:
        """What the client prints."""
        status, said = self.client.run(*words)
        if status:
            raise self.client.problem(said, _REFUSED)
        return said

    def push_dataset(self, item: Item) -> None:
        """Create the data set, or a new version of it, and wait until Kaggle has unpacked it."""
        if not self.is_noted(item):
            there = self.client.run("datasets", "status", item.name)[0] == 0
            how = ("version", "-m", f"content {item.content[:12]}") if there else ("create",)
            said = self.ask("datasets", *how, "-p", str(item.folder), "--dir-mode", "zip")
            if problem := re.search(r"(?:creation|version) error: (.+)", said):
                raise UserError(f"Kaggle does not take the data set {item.name}: {problem[1]}")
            self.note(item)
            self.tell(f"{item.name}: {'new version' if there else 'created'}")
        while "ready" not in (said := self.ask("datasets", "status", item.name)).lower():
            if re.search(r"\b(error|failed|deleted)\b", said.lower()):
                raise UserError(f"Kaggle could not unpack the data set {item.name}: {said.strip()}; push it again")
            self.pause()
        item.state = "complete"

    def look(self, kernel: Item) -> State:
        """Ask for a kernel's state, and keep it."""
        said = self.ask("kernels", "status", kernel.name)
        found = re.search(r'has status "(?:\w+\.)?(\w+)"', said)
        word = found[1].lower() if found else ""
        kernel.state = _STATES.get(word, "failed")
        if kernel.state == "failed":
            message = re.search(r'Failure message: "(.+)"', said)
            kernel.why = message[1] if message else (word or "no status")
        return kernel.state

    def look_at_all(self) -> None:
        """Ask for the state of what runs, and let those that need a failed kernel wait."""
        hopeless: set[str] = set()
        for kernel in self.found.kernels:  # those it needs come before it, so that this reaches through chains
            if kernel.state == "running" and self.look(kernel) != "running":
                self.tell(f"{kernel.name}: {kernel.state}{': ' + kernel.why if kernel.why else ''}")
            if kernel.state == "to push" and hopeless.intersection(kernel.needs):
                kernel.state = "waits"
            if kernel.state in ("failed", "waits"):
                hopeless.add(kernel.name)

    def push_next(self, at_once: int) -> None:
        """Push the kernels whose sources are complete, no more with a GPU than may run at a time."""
        kernels = self.found.kernels
        incomplete = {kernel.name for kernel in kernels if kernel.state != "complete"}
        for kernel in kernels:
            if kernel.state != "to push" or incomplete.intersection(kernel.needs):
                continue
            if kernel.gpu and sum(other.gpu and other.state == "running" for other in kernels) >= at_once:
                continue
            said = self.ask("kernels", "push", "-p", str(kernel.folder))
            refused = re.search(r"Kernel push error: (.+)", said)
            if refused and "session count" in refused[1].lower():  # other kernels of this account use the GPUs
                return
            lost = re.search(r"not valid (?:dataset|competition|kernel) sources .*: (.+)", said)
            if lost:
                kernel.why = f"Kaggle does not find what it attaches: {lost[1]}"
            if refused:
                kernel.why = refused[1]
            if refused or lost:
                kernel.state = "failed"
                self.tell(f"{kernel.name}: {'not taken: ' if refused else ''}{kernel.why}")
                continue
            self.note(kernel)
            kernel.state = "running"
            self.tell(f"{kernel.name}: pushed")


def _items(folder: Path, kind: str) -> list[Item]:
    """The folders of a kind, with what their metadata say."""
    found = []
    for path in sorted((folder / kind).glob("*/")):
        file = path / _METADATA[kind]
        try:
            facts = json.loads(file.read_text())
            needs = tuple(facts.get("kernel_sources", ()))
            found.append(Item(path, str(facts["id"]), bool(facts.get("enable_gpu")), needs))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{file}: cannot be read ({type(error).__name__}); package the folders again") from None
    return found
