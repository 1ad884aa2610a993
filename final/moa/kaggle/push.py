"""Push the folders that ``moa.kaggle.package`` wrote, in an order that Kaggle can run, and wait for what they need.

Data sets go first, because kernels attach them; then the kernels that are needed, each after those whose output it
reads. What has been pushed is noted beside the folders, by a hash of their content: the same call again pushes what is
new or has failed, and goes on waiting for what still runs. Kernels that read trained weights are pushed again when what
they read has changed.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal

from moa.data.download import SLUG
from moa.data.kaggle_client import KaggleClient
from moa.errors import UserError
from moa.files import digest, sha256
from moa.kaggle.contents import Contents
from moa.kaggle.notes import Note, Notes
from moa.progress import progress
from moa.version import __version__

#: Kernels with a GPU that Kaggle runs at a time for one account, and the hours after which it ends one.
AT_ONCE, HOURS = 2, 12
_REFUSED = "Kaggle refused this (403): is --user of `moa kaggle package` the account that the token belongs to?"
_NOT_SUBMITTED = f"Kaggle refused the submission (403): accept the rules first, https://www.kaggle.com/c/{SLUG}/rules"
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
    datasets: tuple[str, ...] = ()  # names of the data sets that it attaches
    needs: tuple[str, ...] = ()  # names of the kernels whose output it reads
    sources: list[Item] = field(default_factory=list)  # what it is pushed again for when they change
    version: str = ""  # number that Kaggle gave to the kernel when it was pushed; empty where it is not known
    state: State = "to push"  # where it stands on Kaggle; "waits" for a kernel it needs
    why: str = ""  # what went wrong, if it failed

    @cached_property
    def content(self) -> str:
        """Hash of its files and its sources, which may be gigabytes: computed when it is first asked for."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        found = [[str(path.relative_to(self.folder)), sha256(path)] for path in files]
        return digest(found, [each.content for each in self.sources]) if self.sources else digest(found)


@dataclass
class Pushed:
    """What a push has done: all folders with their state, in the order they are pushed."""

    datasets: list[Item]
    kernels: list[Item]
    submissions: list[Item]  # the kernels whose submission.csv can be submitted

    @property
    def finished(self) -> bool:
        """Whether all kernels have run without an error."""
        return all(kernel.state == "complete" for kernel in self.kernels)


def find(folder: Path) -> Pushed:
    """What is pushed of the folders below ``folder``, kernels after those they need.

    Raises:
        UserError: `moa.kaggle.package.package` did not write them, or their metadata cannot be read.
    """
    contents = Contents.read(folder)
    datasets = {item.name: item for item in _items(folder, "datasets", contents.datasets)}
    kernels = {item.name: item for item in _items(folder, "kernels", contents.kernels)}
    needs = {name: [need for need in kernel.needs if need in kernels] for name, kernel in kernels.items()}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        names = ", ".join(error.args[1][1:])
        raise UserError(f"{folder / 'kernels'}: {names} need each other's output; package them again") from None
    for kernel in kernels.values():
        if kernel.folder.name in contents.final:
            kernel.sources = [datasets[name] for name in kernel.datasets if name in datasets]
            kernel.sources += [kernels[name] for name in needs[kernel.name]]
    submissions = [kernel for kernel in kernels.values() if kernel.folder.name in contents.submissions]
    return Pushed(list(datasets.values()), [kernels[name] for name in order], submissions)


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
    submit: bool = False,
) -> Pushed:
    """Push what is not on Kaggle yet.

    Args:
        folder: as written by ``package``.
        wait: go on until all kernels have run; otherwise push those that need no output of others, and end.
        at_once: kernels with a GPU that run at a time; Kaggle allows two.
        client: the kaggle client; None: the one that is installed.
        pause: called between two looks at what is running.
        tell: called with a line for each push, each kernel that has ended and each submission.
        submit: submit what the kernels that make a submission have written, if they have ended; each version once.

    Returns:
        All folders with their state.

    Raises:
        UserError: Kaggle cannot be reached, or refuses the credentials, a data set or a submission.
    """
    pushing = _Push(folder, client or KaggleClient(), pause, tell)
    found = pushing.run(wait, at_once)
    for kernel in found.submissions if submit else ():
        if kernel.state == "complete":
            pushing.submit(kernel)
    return found


def submit_command(kernel: Item) -> list[str]:
    """Kaggle's client, as a command that submits a kernel to the competition."""
    slug, version = kernel.name.split("/")[-1], kernel.version or "VERSION"
    words = ["kaggle", "competitions", "submit", SLUG, "-k", kernel.name, "-v", version, "-f", "submission.csv"]
    return [*words, "-m", f"{slug}, moa {__version__}"]


class _Push:
    """A push in progress."""

    def __init__(self, folder: Path, client: KaggleClient, pause: Callable[[], None], tell: Callable[[str], None]):
        self.found, self.notes, self.client, self.pause, self.tell = find(folder), Notes(folder), client, pause, tell

    def run(self, wait: bool, at_once: int) -> Pushed:
        kernels = self.found.kernels
        for dataset in self.found.datasets:
            self.push_dataset(dataset)
        for kernel in kernels:
            if not self.is_noted(kernel):
                continue
            kernel.version = self.notes.of(kernel.name).version
            if self.look(kernel) == "failed":
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
        return self.notes.of(item.name).content == item.content

    def submit(self, kernel: Item) -> None:
        """Submit the version that was pushed last, unless it was."""
        note = self.notes.of(kernel.name)
        if not kernel.version:
            command = shlex.join(submit_command(kernel))
            self.tell(f"{kernel.name}: not submitted; its page shows which VERSION it is, then: {command}")
        elif note.submitted == kernel.version:
            self.tell(f"{kernel.name}: version {kernel.version} was submitted before")
        else:
            self.ask(*submit_command(kernel)[1:], refused=_NOT_SUBMITTED)
            self.notes.write(kernel.name, note.model_copy(update={"submitted": kernel.version}))
            self.tell(f"{kernel.name}: version {kernel.version} submitted")

    def ask(self, *words: str, refused: str = _REFUSED) -> str:
        """What the client prints; ``refused`` is the message where the server answers 403."""
        status, said = self.client.run(*words)
        if status:
            raise self.client.problem(said, refused)
        return said

    def push_dataset(self, item: Item) -> None:
        """Create the data set, or a new version of it, and wait until Kaggle has unpacked it."""
        if not self.is_noted(item):
            there = self.client.run("datasets", "status", item.name)[0] == 0
            how = ("version", "-m", f"content {item.content[:12]}") if there else ("create",)
            said = self.ask("datasets", *how, "-p", str(item.folder), "--dir-mode", "zip")
            if problem := re.search(r"(?:creation|version) error: (.+)", said):
                raise UserError(f"Kaggle does not take the data set {item.name}: {problem[1]}")
            self.notes.write(item.name, Note(content=item.content))
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
            version = re.search(r"Kernel version (\d+) successfully", said)
            kernel.version = version[1] if version else ""
            self.notes.write(kernel.name, Note(content=kernel.content, version=kernel.version))
            kernel.state = "running"
            self.tell(f"{kernel.name}: pushed")


def _items(folder: Path, kind: str, names: Sequence[str]) -> list[Item]:
    """The named folders of a kind, with what their metadata say."""
    found = []
    for path in (folder / kind / name for name in names):
        file = path / _METADATA[kind]
        try:
            facts = json.loads(file.read_text())
            attached, needs = (tuple(facts.get(f"{each}_sources", ())) for each in ("dataset", "kernel"))
            found.append(Item(path, str(facts["id"]), bool(facts.get("enable_gpu")), attached, needs))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{file}: cannot be read ({type(error).__name__}); package the folders again") from None
    return found
