"""Files read in parts: however they are split, rows and problems are those of the whole, and repeated ids are found."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from moa.data.assay import Assay
from moa.data.parts import SeenIds, file_size, id_hashes, parse_part, read_parts

ASSAY = Assay.model_validate(
    {
        "name": "small",
        "groups": {"x": {"columns": ["a", "b"]}},
        "conditions": [{"column": "time", "levels": [24, 48]}, {"column": "dose", "numeric": "log10"}],
        "control": {"column": "cp_type", "values": ["ctl"]},
    }
)
COLUMNS = ["sig_id", "cp_type", "time", "dose", "a", "b", "Metadata_Plate"]
NUMBERS = st.floats(-1e6, 1e6).map(repr) | st.integers(-9, 9).map(str)
DOSES = st.floats(0.001, 1e3).map(repr)
PLATES = st.sampled_from(["007", "7", "P1", ""])
WELLS = st.one_of(
    st.tuples(st.just("ctl"), st.sampled_from(["24", "48"]), DOSES | st.just(""), NUMBERS, NUMBERS, PLATES),
    st.tuples(st.just("trt"), st.sampled_from(["24", "48"]), DOSES, NUMBERS, NUMBERS, PLATES),
)
#: What may be wrong with a row: what becomes of its cells, and what is said of its line.
DAMAGE = {
    "word": (lambda row: [*row[:4], "high", *row[5:]], "column 'a', line {}.* holds 'high': expected a number"),
    "empty": (lambda row: [*row[:5], "", *row[6:]], "column 'b', line {}.*: expected a number, found none"),
    "infinite": (lambda row: [*row[:5], "inf", *row[6:]], "column 'b', line {}.*: expected a finite number"),
    "level": (lambda row: [*row[:2], "72", *row[3:]], "column 'time', line {}.* holds '72': expected one of 24, 48"),
    "dose": (lambda row: [*row[:3], "0", *row[4:]], "column 'dose', line {}.*: expected a number above 0"),
    "id": (lambda row: ["", *row[1:]], "column 'sig_id', line {}.*: expected an id, found an empty cell"),
    "short": (lambda row: row[:5], "line {} has 5 values.*: expected 7"),
    "blank": (lambda row: [], "line {}.*: blank; expected 7 values"),
}
#: Without an explanation of failures, which would read thousands of files.
QUICK = settings(deadline=None, max_examples=60, phases=(Phase.reuse, Phase.generate, Phase.shrink))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("parts")


def parsed(folder, rows, size, packed=False, ending="\n"):
    """Rows (None where there are problems) and problems of a table that is read in parts of a size."""
    path = folder / "table.csv"
    text = "\n".join(",".join(row) for row in [COLUMNS, *rows]) + ending
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    found = [parse_part(part, path.name, ASSAY) for part in read_parts(path, size)]
    problems = [problem for part in found for problem in part.problems]
    return None if problems else pd.concat([part.rows for part in found]), problems


def table(wells):
    return [[f"id_{number}", *well] for number, well in enumerate(wells)]


@QUICK
@given(
    wells=st.lists(WELLS, min_size=1, max_size=14),
    size=st.integers(1, 15),
    packed=st.booleans(),
    ending=st.sampled_from(["", "\n", "\n\n\n"]),
)
def test_rows_do_not_depend_on_the_size_of_the_parts(folder, wells, size, packed, ending):
    whole, problems = parsed(folder, table(wells), 1000)
    assert problems == [] and list(whole.index) == [f"id_{number}" for number in range(len(wells))]
    assert whole["a"].tolist() == [float(well[3]) for well in wells]
    assert whole["Metadata_Plate"].fillna("").tolist() == [well[5] for well in wells], "text, whatever it looks like"
    found, problems = parsed(folder, table(wells), size, packed, ending)
    assert problems == []
    pd.testing.assert_frame_equal(found, whole, check_exact=True)


@QUICK
@given(
    wells=st.lists(WELLS, min_size=2, max_size=14),
    size=st.integers(1, 15),
    kind=st.sampled_from(list(DAMAGE)),
    data=st.data(),
)
def test_problems_are_at_the_same_lines_whatever_the_size_of_the_parts(folder, wells, size, kind, data):
    places = st.integers(0, len(wells) - 2)  # blank lines at the end are no problem
    spoiled = data.draw(st.lists(places, min_size=1, max_size=3, unique=True))
    damage, expected = DAMAGE[kind]
    rows = [damage(row) if number in spoiled else row for number, row in enumerate(table(wells))]
    lines = {number + 2 for number in spoiled}
    for rows_at_a_time in (1000, size):
        _, problems = parsed(folder, rows, rows_at_a_time)
        named = [int(line) for problem in problems for line in re.findall(r"line (\d+)", problem)]
        assert sorted(named) == sorted(lines), problems
        first = re.compile(expected.format(min(lines)))
        assert any(first.search(problem) for problem in problems), problems


@QUICK
@given(st.lists(st.lists(st.integers(-3, 60), max_size=9), max_size=25))
def test_seen_ids_agree_with_a_set_however_the_ids_are_split(parts):
    seen, known = SeenIds(), set()
    for part in parts:
        assert seen.add(np.array(part, np.int64)).tolist() == [each in known for each in part]
        known |= set(part)


@pytest.mark.parametrize("sizes", [(64, 16, 4, 1), (1, 4, 16, 64), (1,) * 33, (5,) * 9, (0, 3, 0, 3), (100, 1, 100)])
def test_an_id_of_any_earlier_part_is_found_again(sizes):
    ids = id_hashes(f"id_{number}" for number in range(sum(sizes)))
    parts = np.split(ids, np.cumsum(sizes)[:-1])
    for repeated in range(len(sizes)):
        seen = SeenIds()
        assert not any(seen.add(part).any() for part in parts)
        assert seen.add(parts[repeated]).all()
        assert seen.add(id_hashes(["another", "id_0"])).tolist() == [False, True]


def test_hashes_of_ids_differ_and_do_not_depend_on_the_order():
    ids = [f"id_{number}" for number in range(10_000)]
    hashes = id_hashes(ids)
    assert hashes.shape == (10_000,) and hashes.dtype == np.int64 and len(set(hashes.tolist())) == 10_000
    assert (id_hashes(reversed(ids)) == hashes[::-1]).all() and id_hashes([]).shape == (0,)


def test_parts_say_where_they_are_and_differ(folder):
    path = folder / "same.csv"
    path.write_text("sig_id,a\n" + "id_1,1\n" * 5)
    parts = list(read_parts(path, 2))
    assert [(part.number, part.first) for part in parts] == [(0, 2), (1, 4), (2, 6)]
    assert len({part.digest for part in parts}) == 3, "the same rows at another place are another part"
    assert file_size(path) == 1


def test_the_size_of_a_packed_file_is_that_of_its_content(folder):
    path, content = folder / "zeros.csv.gz", b"0" * (3 * 2**20)
    path.write_bytes(gzip.compress(content))
    assert file_size(path) == 4
