"""Parts of sentences that messages share."""

import pytest

from moa.words import counted, listed, shown, size_in_words, unknown


def test_a_list_names_the_first_and_counts_the_others():
    assert listed([]) == "" and listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b, c"
    assert listed("abcd") == "a, b, c and 1 more" and listed(range(2000), 2) == "0, 1 and 1,998 more"
    assert listed("abc", 2, "; ") == "a; b and 1 more"
    assert listed(["a", "b"], 2, count=5) == "a, b and 3 more" and listed(["a", "b"], 2, count=2) == "a, b"


def test_numbers_have_their_noun():
    assert [counted(number, "well") for number in (0, 1, 2, 1200)] == ["0 wells", "1 well", "2 wells", "1,200 wells"]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (123_456, "123 kB"),
        (2_500_000, "2.5 MB"),
        (7e15, "7000 TB"),
    ],
)
def test_sizes_as_people_read_them(size, words):
    assert size_in_words(size) == words


def test_unknown_text_stays_on_one_line():
    assert shown("a\nb\x1b[1m\ttab é") == r"a\nb\x1b[1m\ttab é"
    assert shown("x" * 60) == "x" * 60 and shown("x" * 61) == "x" * 57 + "..." and len(shown("\n" * 100, 20)) == 20


def test_names_that_are_nearly_the_same_are_suggested():
    known = ["two-heads", "two-heads-v2", "simple-nn-old-cv"]
    assert unknown("two-head", known) == "'two-head' is unknown (did you mean two-heads or two-heads-v2?)"
    assert unknown("Simple-NN-old", known) == "'Simple-NN-old' is unknown (did you mean simple-nn-old-cv?)"
    assert unknown("resnet\n", known) == r"'resnet\n' is unknown"
