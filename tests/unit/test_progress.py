"""Progress: whole numbers, a time left that has a basis, and at most one line per minute where there is no terminal."""

import io

import pytest
from rich.console import Console

from moa import progress as module
from moa.progress import Bar, Units, progress


class Clock:
    """Stands in for ``time.monotonic``."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module.time, "monotonic", clock)
    return clock


@pytest.fixture
def lines(monkeypatch):
    """Lines printed to a log, as a list that grows."""
    output = io.StringIO()
    monkeypatch.setattr(module, "console", Console(file=output, width=80))
    monkeypatch.setattr(Bar, "_printed", None)
    return lambda: output.getvalue().splitlines()


@pytest.fixture
def terminal(monkeypatch):
    """The text of a terminal of 100 columns, last picture last."""
    output = io.StringIO()
    monkeypatch.setattr(module, "console", Console(file=output, width=100, force_terminal=True, color_system=None))
    return output.getvalue


def test_a_log_has_whole_numbers_and_one_line_per_minute(clock, lines):
    with progress("nn", 2) as bar:
        for _ in range(50):  # 5 minutes
            clock.now += 6
            bar.update((clock.now - 1000) / 300 * 2, "seed 0 fold 1")
    assert lines() == [
        "nn: 0/2, seed 0 fold 1 (6s, about 4m54s left)",
        "nn: 0/2, seed 0 fold 1 (1m06s, about 3m54s left)",
        "nn: 0/2, seed 0 fold 1 (2m06s, about 2m54s left)",
        "nn: 1/2, seed 0 fold 1 (3m06s, about 1m54s left)",
        "nn: 1/2, seed 0 fold 1 (4m06s, about 54s left)",
    ]


def test_short_bars_after_one_another_share_the_minute(clock, lines):
    for number in range(12):
        with progress(f"stage {number}", 10) as bar:
            for done in range(10):
                clock.now += 1
                bar.update(done)
    assert [line.split(":")[0] for line in lines()] == ["stage 0", "stage 6"]


def test_work_that_ends_at_once_has_no_line_and_the_count_of_longer_work_stands_apart(clock, lines):
    """ "features: 0/6 conditions", printed by the first of six steps, reads as if there were six conditions to do."""
    with progress("features", 6, even=False) as bar:
        bar.update(0, "conditions")
        clock.now += 1
        bar.update(6)
    assert lines() == []
    with progress("features", 6, even=False) as bar:
        bar.update(0, "bounded")
        clock.now += 3
        bar.update(1, "conditions")
    assert lines() == ["features: 1/6, conditions (3s)"]


def test_a_result_is_printed_at_once(clock, lines):
    with progress("workers of local") as bar:
        bar.update(0, "4 of them", log=True)
    assert lines() == ["workers of local: 4 of them (0s)"]


def test_the_result_of_a_unit_is_not_lost_to_a_passing_note(clock, lines):
    with progress("nn", 5) as bar:
        clock.now += 2
        bar.update(0, "epoch 1")
        clock.now += 20
        bar.update(1, "best 0.0167", log=True)
        clock.now += 50
        bar.update(1.5, "epoch 9")
        clock.now += 61
        bar.update(1.6, "epoch 10")
    assert [line.split(" (")[0] for line in lines()] == [
        "nn: 0/5, epoch 1",
        "nn: 1/5, best 0.0167",
        "nn: 1/5, epoch 10",
    ]


def test_steps_finished_by_an_earlier_run_took_no_time(clock, lines):
    with progress("nn", 25, done=24) as bar:
        clock.now += 100
        bar.update(24.5)
    assert lines() == ["nn: 24/25 (1m40s, about 1m40s left)"]


def test_no_time_left_without_a_basis(clock, lines):
    with progress("features", 8, even=False) as bar:
        clock.now += 100
        bar.update(2, "g-umap")
    clock.now += 100
    with progress("nn", 25) as bar:
        clock.now += 2  # the first moments say nothing
        bar.update(1)
    clock.now += 100
    with progress("nn", 1000) as bar:
        clock.now += 100
        bar.update(1)  # nor does a thousandth
    clock.now += 100
    with progress("familiarity") as bar:
        clock.now += 5
        bar.update(0)
    assert lines() == ["features: 2/8, g-umap (1m40s)", "nn: 1/25 (2s)", "nn: 1/1000 (1m40s)", "familiarity (5s)"]


def test_a_time_that_has_passed_is_not_shown_any_longer(clock):
    bar = Bar("nn", 2, quiet=True)
    clock.now += 100
    bar.update(1.9)
    assert str(bar.left) == "about 5s left"
    clock.now += 6
    assert str(bar.left) == ""
    bar.update(1.9)  # news of the same share are no basis
    assert str(bar.left) == ""


def test_never_past_the_end(clock, lines, terminal):
    bar = Bar("nn", 3, quiet=True)
    clock.now += 30
    bar.update(7)
    assert str(bar.left) == ""
    with progress("nn", 3) as bar:
        bar.update(7)
    assert "3/3" in terminal() and "7" not in terminal()


def test_a_terminal_shows_what_is_running_and_no_count_where_nothing_is_counted(clock, terminal):
    with progress("two stages", 4) as bar:
        clock.now += 10
        bar.update(1.5, "seed 0 fold 2")
    assert "1/4" in terminal() and "about 16s left" in terminal() and "seed 0 fold 2" in terminal()
    with progress("familiarity"):
        pass
    assert "0/1" not in terminal()


def test_units_that_stop_early(clock):
    """Two at a time, at most 200 epochs of a second each; they stop after 40."""
    bar = Bar("cnn", 4, quiet=True)
    units = Units(bar)
    for epoch in range(40):
        clock.now += 1
        for fold in (0, 1):
            units.epoch(fold, epoch, 200)
        if epoch == 19:
            assert str(bar.left) == "at most 6m20s left"  # 2 x 200 s in all, 20 of them spent
    units.finished(0)
    units.finished(1)
    assert str(bar.left) == "about 40s left"
    for epoch in range(20):
        clock.now += 1
        for fold in (2, 3):
            units.epoch(fold, epoch, 200)
    assert str(bar.left) == "about 20s left"


def test_a_unit_that_goes_on_after_its_last_epoch_is_not_counted_as_finished(clock, lines):
    with progress("phase2", 2) as bar:
        units = Units(bar)
        clock.now += 4
        units.epoch(0, 11, 12)
        clock.now += 60
        units.epoch(1, 11, 12)
        clock.now += 60
        units.finished(0, "fold 0")
    assert lines() == [
        "phase2: 0/2 (4s, at most 4s left)",
        "phase2: 0/2 (1m04s, at most 3s left)",
        "phase2: 1/2, fold 0 (2m04s, about 3s left)",
    ]
