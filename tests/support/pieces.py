"""Pieces of work for streams. They lie in a module, so that a process can import them."""

import multiprocessing
import os
import signal
import sys
import time
import uuid


def prepared():
    """What pieces need."""
    return "state"


def prepared_together(folder, count, own):
    """As `prepared`, but all other processes than ``own`` wait here until ``count`` of them have come."""
    if os.getpid() != own:
        (folder / f"{os.getpid()}").touch()
        deadline = time.monotonic() + 120
        while len(list(folder.iterdir())) < count and time.monotonic() < deadline:
            time.sleep(0.01)
    return prepared()


def note_and_square(folder, number):
    """Leaves a file for each time it is computed; takes a moment."""
    time.sleep(0.2)
    (folder / f"{number}-{uuid.uuid4().hex}").touch()
    return number**2


def process_and_square(state, number):
    """The process that computed it, and what it had prepared."""
    return os.getpid(), state, number**2


def die_once(folder, number):
    """Ends its process at number 3, the first time."""
    if number == 3 and not (folder / "died").exists():
        (folder / "died").touch()
        _exit()
    return number


def end_parent_once(folder, number):
    """Ends the process that its own was forked from at number 3, the first time."""
    if number == 3 and not (folder / "ended").exists():
        (folder / "ended").touch()
        assert multiprocessing.parent_process() and os.getppid() != multiprocessing.parent_process().pid
        os.kill(os.getppid(), signal.SIGKILL)
    return number


def origin(variable, number):
    """What a process was forked from, whether it had torch, and a variable of its environment."""
    return os.getppid(), "torch" in sys.modules, os.environ.get(variable)


def die(state, number):
    """Ends its process, but for the first piece, which the process of the test computes."""
    if number:
        _exit()


def fail(state, number):
    """Fails at number 3."""
    if number == 3:
        raise ValueError("piece 3 cannot be computed")
    return number


def _exit():
    assert multiprocessing.parent_process(), "not the process of the tests"
    os._exit(9)
