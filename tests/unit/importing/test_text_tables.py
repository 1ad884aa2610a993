"""Tables of text are read the same whatever separates their cells, and places in messages are lines of the file."""

import csv
from io import StringIO

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from moa.data.csv_files import SEPARATORS, uneven_rows
from moa.errors import UserError
from moa.importing.profiles import is_missing
from moa.importing.source import Source
from moa.importing.text_tables import parse_text, read_text_table

#: Cells with everything that a csv writer must quote; no carriage returns, since line ends become of one kind.
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0", exclude_categories=("Cs", "Cc")), max_size=6)
NAMES = st.text(
    st.characters(codec="ascii", categories=("L", "Nd"), include_characters=' ,;|"'), min_size=1, max_size=8
)


def has_a_letter(name):
    return any(letter.isalpha() for letter in name)


HEADERS = st.lists(NAMES.map(str.strip).filter(has_a_letter), min_size=2, max_size=5, unique=True)
TABLES = HEADERS.flatmap(
    lambda names: st.tuples(
        st.just(names), st.lists(st.lists(CELLS, min_size=len(names), max_size=len(names)), min_size=1, max_size=5)
    )
)
ANY_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def written(names, rows, separator, end="\n"):
    file = StringIO()
    writer = csv.writer(file, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([names, *rows])
    return file.getvalue()


@given(table=TABLES, separator=st.sampled_from(list(SEPARATORS)), end=st.sampled_from(["\n", "\r\n"]))
@example((["name", "moa"], [["a;b", 'the "x"'], ["NA", " y "]]), ";", "\r\n")
@example((["A", "A,"], [["", ""]]), ";", "\n")  # by commas there would be two columns, too
@ANY_FOLDER
def test_a_table_is_read_as_it_was_written(tmp_path, table, separator, end):
    names, rows = table
    path = tmp_path / "table.txt"
    path.write_bytes(written(names, rows, separator, end).encode())
    found = read_text_table(path)
    assert list(found) == names and list(found.index) == list(range(2, 2 + len(rows)))
    for row, cells in zip(found.to_numpy(), rows, strict=True):
        for got, cell in zip(row, cells, strict=True):
            assert pd.isna(got) if is_missing(cell) else got == cell.strip()


@given(
    rows=st.lists(st.integers(1, 4), min_size=1, max_size=8),
    blank=st.sets(st.integers(0, 7)),
    separator=st.sampled_from(list(SEPARATORS)),
    quoted=st.booleans(),
)
def test_uneven_rows_and_blank_lines_are_found_at_their_lines(rows, blank, separator, quoted):
    """Whether lines are counted or parsed, each row of another width and each blank line is found, and no other."""
    cell = '"x"' if quoted else "x"
    lines = [separator.join(["a", "b", '"c"' if quoted else "c"])]
    expected = []
    for number, width in enumerate(rows):
        if number in blank:
            lines.append("")
            expected.append((len(lines), []))
        lines.append(separator.join([cell] * width))
        if width != 3:
            expected.append((len(lines), ["x"] * width))
    text = "\n".join([*lines, "", ""])
    assert list(uneven_rows(text, separator, 3)) == expected
    assert list(uneven_rows(text, separator, 3, 11)) == [(line + 10, cells) for line, cells in expected]
    assert list(uneven_rows(text.replace("\n", "\r\n"), separator, 3)) == expected


def test_a_row_starts_where_its_first_cell_does():
    text = 'a,b\n"1\n2",3\n4\n"5\n6",7,8\n'
    assert list(uneven_rows(text, ",", 2)) == [(4, ["4"]), (5, ["5\n6", "7", "8"])]


@pytest.mark.parametrize("separator", list(SEPARATORS))
def test_further_separators_at_the_end_of_lines_are_no_columns(tmp_path, separator):
    path = tmp_path / "table.txt"
    path.write_text("\n".join(line + 2 * separator for line in (f"a{separator}b", f"1{separator}2")))
    assert read_text_table(path).to_dict("list") == {"a": ["1"], "b": ["2"]}


def test_comments_above_the_header_count_as_lines(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("!made by hand\n\nsep=;\n#x\na;b\n1;2\n3\n")
    with pytest.raises(UserError, match="line 7: 1 cell; expected 2, one per column"):
        read_text_table(path)
    path.write_text("!made by hand\n\nsep=;\n#x\na;b\n1;2\n")
    assert list(read_text_table(path).index) == [6]


def test_a_column_of_numbers_with_a_word_far_below_is_text_throughout(tmp_path):
    rows, columns = 2_000, 982  # more than are parsed at once
    lines = [["A1", *["1.50"] * columns]] * rows + [["B1", *["1.50"] * (columns - 1), "word"]]
    path = tmp_path / "wells.csv"
    path.write_text("\n".join(map(",".join, [["well", *(f"v{number}" for number in range(columns))], *lines])))
    table, first_line = parse_text(Source(path), lambda columns: columns[:1])
    assert first_line == 2 and len(table) == rows + 1
    assert list(table.iloc[:, -1].unique()) == ["1.50", "word"]
    assert (table.iloc[:, 1:-1] == 1.5).all(axis=None)
