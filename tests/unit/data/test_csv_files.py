"""Large csv files are parsed in pieces, into the table that parsing them at once gives."""

import numpy as np
import pytest

from moa.data import csv_files
from moa.data.csv_files import parse_csv
from moa.data.problems import Problems

ROWS = 400


def number(row):
    return f"{np.sin(row):.4f}"


#: What a column holds in a row, by what is special about the file.
COLUMNS = {
    "numbers": number,
    "integers, then decimals": lambda row: row if row < 300 else number(row),
    "numbers, then a word": lambda row: "high" if row == 390 else number(row),
    "empty, then numbers": lambda row: "" if row < 200 else number(row),
    "numbers, then empty": lambda row: "" if row > 200 else number(row),
    "words": lambda row: f"w{row % 7}",
    "missing values by name": lambda row: ["NA", "nan", "1.5"][row % 3],
    "times": lambda row: f"2020-01-{row % 28 + 1:02d}",
    "times, then a word": lambda row: f"2020-01-{row % 28 + 1:02d}" if row < 300 else "later",
    "in quotes, with a line break": lambda row: '"a\nb"' if row == 350 else "c",
    "truths": lambda row: ["true", "false"][row % 2],
}


def content(column, end="\n"):
    lines = ["sig_id,value,Metadata_note", *(f"id_{row},{column(row)},{row}" for row in range(ROWS))]
    return end.join(lines).encode()


def parsed(raw, monkeypatch, piece):
    monkeypatch.setattr(csv_files, "_PIECE", piece)
    monkeypatch.setattr(csv_files, "_PIECES", 1000)
    problems = Problems()
    return parse_csv(raw, "a.csv", ["sig_id"], problems), list(problems)


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"], ids=repr)
def test_in_pieces_as_at_once(kind, end, monkeypatch):
    for raw in (content(COLUMNS[kind], end), b"\xef\xbb\xbf" + content(COLUMNS[kind], end) + b"\n"):
        whole, problems = parsed(raw, monkeypatch, 1 << 30)
        pieces, found = parsed(raw, monkeypatch, 500)
        assert found == problems
        if whole is None:
            assert problems and pieces is None
        else:
            assert pieces.schema.equals(whole.schema) and pieces.equals(whole) and pieces.num_rows == ROWS


def test_a_line_may_be_longer_than_what_is_parsed_at_once(monkeypatch):
    raw = content(lambda row: "x" * 600 if row == 222 else "y")
    pieces, problems = parsed(raw, monkeypatch, 500)
    assert not problems and pieces.equals(parsed(raw, monkeypatch, 1 << 30)[0])


def test_an_uneven_row_in_any_piece_is_named(monkeypatch):
    raw = content(number).replace(b"id_333,", b"id_333,1,")
    whole, problems = parsed(raw, monkeypatch, 1 << 30)
    assert whole is None and "line 335 has 4 values" in problems[0]
    assert parsed(raw, monkeypatch, 500) == (None, problems)


def test_files_are_cut_at_ends_of_lines():
    pieces = [piece.to_pybytes() for piece in csv_files._pieces(content(number), 500)]
    assert len(pieces) > 10 and all(piece.endswith(b"\n") for piece in pieces[:-1])
    assert b"".join(pieces) == content(number)
