"""Notes: each once, none about nothing, sorted by kind."""

from moa.importing.notes import Notes


def test_a_note_names_some_items_and_their_number():
    notes = Notes()
    notes.dropped("without a dose", ["A01", "A02", "A03", "A04"], "well")
    notes.guessed("hours")
    assert notes.lines() == ["guessed: hours", "dropped: 4 wells without a dose: A01, A02, A03 and 1 more"]
    assert notes.lines(9)[1].endswith("A03, A04")
    assert notes.plain[0] == {
        "kind": "dropped",
        "text": "4 wells without a dose",
        "items": ["A01", "A02", "A03", "A04"],
    }


def test_the_same_note_is_made_once_and_a_note_about_no_items_is_left_out():
    notes = Notes()
    for _ in range(2):
        notes.noted("of two files", [1])
    notes.aside("columns of text", [])
    notes.dropped("without a dose", (), "well")
    assert notes.lines() == ["noted: of two files: 1"]
