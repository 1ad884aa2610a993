"""Definitions in cells in the place of the package's: modules that are made of them, here and in other processes."""

import subprocess
import sys

import pytest

from moa.cells import Cells, assembled, code, statements
from moa.environment import FINAL
from moa.errors import UserError
from support.forked import processes

MODULE = '''"""A module."""

from __future__ import annotations

import math

#: How many.
COUNT = 3


def double(x):
    """Twice."""
    return 2 * x


# A remark that stands apart.

class Thing:
    size = COUNT
'''


def test_every_module_is_the_sum_of_its_statements():
    files = sorted((FINAL / "moa").rglob("*.py"))
    assert [path for path in files if assembled(path.read_text(), []) != path.read_text()] == []


def test_definitions_take_the_place_of_those_of_their_names():
    def is_now(old, new, *cells):
        assert assembled(MODULE, cells) == MODULE.replace(old, new)

    is_now("", "", "class Thing:\n    size = COUNT\n", "#: How many.\nCOUNT = 3")
    is_now("    size = COUNT", "    size = 4", "class Thing:\n    size = 4\n")
    is_now("#: How many.\nCOUNT = 3", "COUNT = 5", "COUNT = 4", "COUNT = 5")
    is_now(
        "import math\n",
        "import math\nimport json\n",
        "import math\nimport json\n\nCOUNT = json.loads('3')",
        "#: How many.\nCOUNT = 3",
    )
    added = assembled(MODULE, ["COUNT = 4\n\n\ndef triple(x):\n    return 3 * x"])
    names = [name for part in statements(added) for name in part.names]
    assert names == ["COUNT", "triple", "double", "Thing"]
    assert code(assembled(MODULE, ["def double(x):\n    # another remark\n    '''Twice.'''\n    return 2*x"])) == code(
        MODULE
    )


def test_what_is_no_definition_is_refused():
    with pytest.raises(UserError, match="holds definitions alone; put `print\\(1\\)` into a cell of its own"):
        assembled(MODULE, ["print(1)"])
    with pytest.raises(UserError, match="# moa/nothing.py: the package has no such file"):
        Cells().define("moa.nothing", "x = 1")
    with pytest.raises(SyntaxError):
        assembled(MODULE, ["def"])


def test_cells_are_written_and_read(tmp_path):
    first, second = Cells(), Cells()
    for module, text in (
        ("moa.words", "def counted():\n    return 1"),
        ("moa.data.sizes", "BATCH = 1"),
        ("moa.words", "X = 2"),
    ):
        first._add(module, text)
    first._add("moa.words", "def counted():\n    return 2")
    (tmp_path / "cells.py").write_text(first.text)
    second.read(tmp_path / "cells.py")
    sys.meta_path.remove(second)
    assert second.text == first.text and "return 1" not in first.text and first.text.count("# moa/words.py") == 2
    assert list(second.changed) == ["moa.data.sizes", "moa.words"]


def _edit_and_train(pipe):
    """In a process of its own, whose modules are made again."""
    import pickle

    from moa.cells import cells, given_to_processes
    from moa.learners import common
    from moa.learners.perceptron import training
    from moa.learners.perceptron.learner import MLPLearner
    from moa.models.base import Stage
    from moa.parallel import pool

    names = {}
    cells.define("moa.learners.common", "def smooth(y, amount):\n    return 'edited'", names)
    from moa.learners.perceptron import training as again

    found = {
        "bound": names["smooth"](0, 0),
        "old": training.smooth is common.smooth,
        "used": again.smooth(0, 0),
        "others": common is not sys.modules["moa.learners.common"] and hasattr(again, "fit"),
        "same": sys.modules["moa.errors"].UserError is UserError,
        "changed": list(cells.changed),
        "stale": [each.__name__ for each in (MLPLearner, Stage) if each is not _now(each)],
    }
    path = pipe.recv()
    path.write_text(cells.text)
    pickle.dumps(again.smooth)
    with given_to_processes(path), pool(_nothing, _smoothed, 1) as submit:
        found["there"] = submit(0).result()
    cells.clear()
    from moa.learners.common import smooth

    found["cleared"] = smooth(1, 0)
    pipe.send(found)


def _now(cls):
    import importlib

    return getattr(importlib.import_module(cls.__module__), cls.__name__)


def _nothing():
    return None


def _smoothed(_, item):
    from moa.learners.common import smooth

    return smooth(0, 0)


def test_an_edited_definition_is_used_by_all_that_import_it_and_in_processes(tmp_path):
    context = processes()
    here, there = context.Pipe()
    process = context.Process(target=_edit_and_train, args=(there,))
    process.start()
    here.send(tmp_path / "cells.py")
    found = here.recv() if here.poll(120) else None
    process.join(10)
    assert found == {
        "bound": "edited",
        "old": True,
        "used": "edited",
        "others": True,
        "same": True,
        "changed": ["moa.learners.common"],
        "stale": ["MLPLearner"],
        "there": "edited",
        "cleared": 1,
    }


def test_a_process_that_is_given_a_missing_file_says_so():
    done = subprocess.run(
        [sys.executable, "-c", "import moa"], capture_output=True, text=True, env={"MOA_CELLS": "no.py"}
    )
    assert done.returncode and "no.py" in done.stderr


def test_a_cell_that_is_run_again_changes_nothing():
    cells = Cells()
    for text in ("def counted():\n    return 1", "X = 2", "Y = 3"):
        cells._add("moa.words", text)
    before = cells.text
    cells._add("moa.words", "X = 2")
    assert cells.text == before
    cells._add("moa.words", "X = 4")
    assert cells.text == before.replace("X = 2", "X = 4")
