"""Ctrl-C and SIGTERM: one line on what is kept and how to go on, and the status of the signal."""

import os
import signal
import subprocess
import sys
import time

import pytest

from support import ROOT

SIGNALS = ((signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM"))
MODEL = "simple-nn-old-cv"


pytestmark = pytest.mark.usefixtures("heeded")


def start(*arguments):
    """``moa`` as a process of a group of its own, as a terminal starts it."""
    command = [sys.executable, "-m", "moa.cli", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=-1, stderr=-1, text=True, start_new_session=True)


def wait_for(pattern, folder, process, seconds=300):
    deadline = time.monotonic() + seconds
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "status", "name"), SIGNALS, ids=lambda value: str(value))
def test_training_says_what_is_kept(number, status, name, data_dir, tmp_path):
    """The whole group gets the signal, as from a terminal or a batch system, while units train in threads."""
    options = ["--data", data_dir, "--weights", tmp_path, "--profile", "demo", "--device", "cpu"]
    process = start("train", MODEL, *options)
    wait_for(f"{MODEL}/nn/seed-*/fold-*/unit.json", tmp_path, process)
    os.killpg(process.pid, number)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == status and not output
    expected = f"stopped by {name}: finished units are kept in {tmp_path}; run the same command again to continue"
    assert errors.splitlines()[-1] == expected and "Traceback" not in errors


def test_workers_of_this_machine_leave_ctrl_c_to_the_driver(data_dir, tmp_path, monkeypatch):
    """They are in the same group, as on a terminal: none prints a traceback, and none goes on."""
    pytest.importorskip("distributed", reason="needs the extra 'cluster'")
    monkeypatch.delenv("DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD")  # as users have it
    options = ["--data", data_dir, "--weights", tmp_path, "--profile", "demo", "--device", "cpu"]
    process = start("train", MODEL, *options, "--on", "local:1")
    wait_for(f"{MODEL}/nn/seed-*/fold-*/unit.json", tmp_path, process)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and not output and "Traceback" not in errors, errors
    assert errors.splitlines()[-1].startswith("stopped by Ctrl-C: finished units are kept in")
    deadline = time.monotonic() + 60
    while runs(process.pid) and time.monotonic() < deadline:  # they end a moment later
        time.sleep(0.1)
    assert not runs(process.pid)


def runs(group):
    """Whether a process of this group is there."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


PROGRAM = """
import os, signal, sys, typer
from moa.cli import stopping
from moa.cli.console import run
from moa.cli.stopping import on_stop

app = typer.Typer()

@app.command()
def work(number: int):
    on_stop("half of it is kept")
    try:
        os.kill(os.getpid(), number)
        print("went on")
    finally:
        os.kill(os.getpid(), number)

stopping._ECHO_SECONDS = float(sys.argv.pop())
run(app)
"""


@pytest.mark.parametrize(("number", "status", "name"), SIGNALS, ids=lambda value: str(value))
def test_the_line_is_all_that_is_printed(number, status, name):
    """Also where the signal comes twice, as from ``timeout``; later, a second one ends the process at once."""
    command = [sys.executable, "-c", PROGRAM, str(int(number))]
    done = subprocess.run([*command, "60"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (status, "") and done.stderr == f"stopped by {name}: half of it is kept\n"
    assert subprocess.run([*command, "0"], capture_output=True).returncode == -number


LOSING = """
import ctypes, os, sys, time, typer
from moa.cli.console import run

app = typer.Typer()

@ctypes.CFUNCTYPE(None)
def callback():
    os.kill(os.getpid(), 2)

class Destroyed:
    def __del__(self):
        os.kill(os.getpid(), 2)

@app.command()
def work(how: str):
    if how == "callback":
        callback()
        raise RuntimeError("the callback has not done its work")
    destroyed = Destroyed()
    del destroyed
    time.sleep(300)

run(app)
"""


@pytest.mark.parametrize("how", ["callback", "destructor"])
def test_a_signal_whose_exception_python_forgets_ends_the_command_too(how):
    done = subprocess.run([sys.executable, "-c", LOSING, how], capture_output=True, text=True)
    expected = "stopped by Ctrl-C: no file is left half-written; run the same command again\n"
    assert (done.returncode, done.stdout, done.stderr) == (130, "", expected)


def test_a_signal_that_the_parent_ignores_stays_ignored():
    """A shell script starts a command in the background so that Ctrl-C does not reach it."""
    command = f"trap '' INT; {sys.executable} -c '{PROGRAM}' {int(signal.SIGINT)} 60"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "went on\n"), done.stderr


IMPORTING = """
import os, signal, sys

class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Stop())
from moa import cli
cli.main() if sys.argv[1] == "main" else cli.inference_app("simple-nn-old-cv")
print("went on")
"""


@pytest.mark.parametrize("entry", ["main", "inference_app"])
def test_the_imports_end_in_one_line_too(entry):
    done = subprocess.run([sys.executable, "-c", IMPORTING, entry], capture_output=True, text=True)
    expected = "stopped by Ctrl-C before anything was done; run the same command again\n"
    assert (done.returncode, done.stdout, done.stderr) == (130, "", expected)
