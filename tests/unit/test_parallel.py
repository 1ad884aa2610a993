"""Streams of pieces: here and in processes, in which some die."""

import json
import os
import subprocess
import sys
from concurrent.futures import Future
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from moa.errors import UserError
from moa.parallel import Here, Processes, as_finished, one_thread
from support.pieces import die, die_once, fail, origin, prepared, prepared_together, process_and_square

forked = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")


@pytest.mark.parametrize(("streams", "processes"), [(Here(), 1), (Processes(1), 1), (Processes(2, patience=-1), 2)])
def test_every_piece_is_computed_once_on_what_its_process_prepared(streams, processes, tmp_path):
    together = partial(prepared_together, tmp_path, processes, os.getpid())
    found = dict(streams.stream(together, process_and_square, range(100)))
    assert {number: (state, square) for number, (_, state, square) in found.items()} == {
        number: ("state", number**2) for number in range(100)
    }
    others = {process for process, *_ in found.values()} - {os.getpid()}
    assert len(others) == (processes if processes > 1 else 0)


def test_no_more_items_are_drawn_than_are_in_flight():
    drawn = []
    items = (drawn.append(number) or number for number in range(100))
    stream = Processes(2, patience=-1).stream(prepared, process_and_square, items)
    next(stream), next(stream)
    assert len(drawn) <= 1 + 2 * 2 + 1
    stream.close()


def test_a_process_that_dies_is_replaced_and_its_pieces_computed_again(tmp_path):
    found = list(Processes(2, patience=-1).stream(partial(Path, tmp_path), die_once, range(10)))
    assert sorted(found) == [(number, number) for number in range(10)] and (tmp_path / "died").exists()


def test_a_piece_that_kills_its_process_every_time_is_given_up():
    with pytest.raises(UserError, match="3 processes ended unexpectedly.*run the same command to continue"):
        list(Processes(2, patience=-1).stream(prepared, die, range(4)))


@forked
def test_processes_are_forked_from_one_that_has_torch_and_have_the_variables_of_now(monkeypatch):
    origins = set()
    for value in ("first", None, "second"):
        if value:
            monkeypatch.setenv("MOA_OF_THIS_TEST", value)
        else:
            monkeypatch.delenv("MOA_OF_THIS_TEST")
        pieces = Processes(2, patience=-1).stream(partial(str, "MOA_OF_THIS_TEST"), origin, range(6))
        _, *found = [result for _, result in sorted(pieces)]  # the first piece is computed here
        assert {(torch, here) for _, torch, here in found} == {(True, value)}
        origins |= {parent for parent, *_ in found}
    assert len(origins) == 1 and os.getpid() not in origins


@forked
def test_where_the_process_they_are_forked_from_is_killed_they_begin_again(tmp_path):
    """In a program of its own: the process from which this test's are forked has imported much, and is used further."""
    program = """
import json, sys
from functools import partial
from pathlib import Path
from moa import parallel
from support.pieces import end_parent_once

needed = parallel._LIBRARIES
parallel._LIBRARIES = ()
found = parallel.Processes(2, patience=-1).stream(partial(Path, sys.argv[1]), end_parent_once, range(10))
print(json.dumps([sorted(found), needed]))
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    found, needed = json.loads(done.stdout)
    assert found == [[number, number] for number in range(10)] and not done.stderr
    assert "torch" in needed and all(map(find_spec, needed)), "what cannot be imported is left out without a word"
    assert (tmp_path / "ended").exists()


def test_an_error_is_raised_here():
    with pytest.raises(ValueError, match="piece 3"):
        list(Processes(2, patience=-1).stream(prepared, fail, range(8)))


def test_what_is_finished_comes_before_an_error():
    failed, good = Future(), Future()
    failed.set_exception(ValueError("piece 0"))
    good.set_result("kept")
    running = {}
    results = as_finished(lambda future: future, [failed, good], 2, running)
    assert next(results) == (good, "kept") and list(running) == [failed]
    with pytest.raises(ValueError, match="piece 0"):
        next(results)
    assert list(running) == [failed], "what did not succeed can be begun again"


def test_threads_are_those_of_before_afterwards(two_threads):
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
