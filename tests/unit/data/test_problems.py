"""What is wrong with a table is reported with its place, in few lines."""

import numpy as np
import pandas as pd

from moa.data.problems import Problems


def at(*places, rows=2000):
    return np.isin(np.arange(rows), places)


def test_rows_are_named_by_line_id_and_content():
    problems, ids = Problems(), pd.Series([f"id_{row}" for row in range(2000)])
    problems.rows("a.csv", "g-0", at(), ids, "a number")
    assert problems == []
    problems.rows("a.csv", "g-0", at(3), ids, "a number", ids)
    problems.rows("a.csv", "g-1", at(0, 1, 2, 5), None, "an id")
    problems.rows("a.csv", "g-2", at(*range(2000)), ids.where(ids.index > 0), "nothing", ids.where(ids.index > 1))
    assert problems == [
        "a.csv: column 'g-0', line 5 (sig_id id_3) holds 'id_3': expected a number",
        "a.csv: column 'g-1', line 2, line 3, line 4 and 1 more: expected an id",
        "a.csv: column 'g-2', line 2 is empty, line 3 (sig_id id_1) is empty, line 4 (sig_id id_2) holds 'id_2' "
        "and 1,997 more: expected nothing",
    ]


def test_rows_of_a_later_part_have_their_number_in_the_whole_file():
    problems = Problems(101, "row")
    problems.rows("a.parquet", "g-0", at(0, 4), None, "a number")
    assert problems == ["a.parquet: column 'g-0', row 101, row 105: expected a number"]


def test_many_columns_with_one_problem_share_a_line():
    problems = Problems()
    for column in range(8):
        problems.rows("a.csv", f"g-{column}", at(0), None, "a number")
        problems.rows("b.csv", "g-0", at(0), None, f"{column}")
    of_one = [line for line in problems if line.startswith("a.csv")]
    assert len(of_one) == 6 and of_one[-1] == "a.csv: 3 more columns up to 'g-7' likewise: expected a number"
    assert len([line for line in problems if line.startswith("b.csv")]) == 8, "other problems have lines of their own"


def test_columns_and_ids_are_cut_and_text_stays_on_one_line():
    problems = Problems()
    assert not problems.repeated("a.csv", ["a", "b"]) and problems.repeated("a.csv", ["b", "a", "b", "a", "c"])
    problems.columns("a.csv", "missing", [f"g-{n}" for n in range(7)], "add them")
    problems.ids("a.csv", ["x\ny", *(f"id_{n}" for n in range(1500))], "not in b.csv")
    problems.ids("a.csv", [], "not in c.csv")
    assert problems == [
        "a.csv: repeated column 'a', 'b'; expected each column once",
        "a.csv: missing column 'g-0', 'g-1', 'g-2', 'g-3', 'g-4' and 2 more; add them",
        r"a.csv: column 'sig_id', x\ny, id_0, id_1 and 1,498 more: not in b.csv",
    ]
    problems.note("once")
    problems.note("once")
    assert problems.notes == ["once"] and len(problems) == 3
