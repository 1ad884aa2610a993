"""Streams of pieces: here and in processes, in which some die."""

import os
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import pytest
import torch

from moa.errors import UserError
from moa.parallel import Here, Processes, as_finished, one_thread
from support.pieces import die, die_once, fail, prepared, prepared_together, process_and_square


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
