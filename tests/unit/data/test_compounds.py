"""One function decides what is the same compound: by name, however spelt, and by structures and ids."""

import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa.data.compounds import compound_key, name_key, salts, unite


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("AKT inhibitor-1,2", "akt-Inhibitor 1-2"),
        ("TNF-α", "tnf alpha"),
        ("Ménière", "meniere"),
        ("β-arrestin", "Beta arrestin"),
        ("AZD-1152", "AZD\u20111152"),
        ("GW 441756", "GW\u00a0441756"),
        ("Caf\u00e9 acid", "Cafe\u0301 acid"),
        ("Trichostatin A", "Trichostatin  A "),
        ("MS-275", "ms275"),
        ("µ-conotoxin", "μ-conotoxin"),
        ("ＤＭＳＯ", "dmso"),
        ("Gleevec™", "gleevec"),
        ("(+)-JQ1", "(+) JQ1"),
        ("(−)-JQ1", "(-)-jq1"),
        ("(±)-nutlin 3", "(+/-)-Nutlin-3"),
        ("BRD-K76908866-001-06-8", "BRD-K76908866"),
        ("17647.0", "17647"),
        ("Drug-0", "drug_0"),
        ("5\u2032-deoxyadenosine", "5'-deoxyadenosine"),
    ],
)
def test_spellings_of_one_compound(one, other):
    assert compound_key(one) == compound_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("AKT1", "AKT2"),
        ("(+)-JQ1", "(-)-JQ1"),
        ("(±)-JQ1", "(+)-JQ1"),
        ("Drug 1-12", "Drug 11-2"),
        ("1.5", "15"),
        ("compound 0", "compound 00"),
        ("paclitaxel", "paclitaxel mesylate"),
        ("?", "-"),
        ("-1", "1"),
        ("BRD-K76908866", "BRD-K76908867"),
    ],
)
def test_compounds_that_are_two(one, other):
    assert compound_key(one) != compound_key(other)


SPELLINGS = (
    str.upper,
    str.lower,
    str.title,
    lambda name: name.replace("-", " "),
    lambda name: name.replace("-", "\u2011"),
    lambda name: name.replace("-", "_"),
    lambda name: name.replace("-", "\u00a0"),
    lambda name: name.replace("alpha", "α"),
    lambda name: f"  {name}\t",
    lambda name: unicodedata.normalize("NFD", name),
    lambda name: name.replace("e", "é"),
)
NAMES = st.lists(
    st.from_regex(r"[A-Za-z]{2,6}-(?:alpha-)?[1-9][0-9]{1,3}", fullmatch=True),
    min_size=1,
    max_size=8,
    unique_by=name_key,
)


@given(NAMES, st.data())
def test_random_spellings_give_the_same_compounds(names, data):
    """However each row spells its compound, rows are of one compound exactly if they were before."""
    rows = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=20))
    spelt = []
    for name in rows:
        for change in data.draw(st.lists(st.sampled_from(SPELLINGS), max_size=3)):
            name = change(name)
        spelt.append(name)
    found = unite(pd.Series(spelt))
    assert pd.factorize(found.names)[0].tolist() == pd.factorize(pd.Series(rows))[0].tolist()
    assert sorted({*found.united, *(each for others in found.united.values() for each in others)} - set(spelt)) == []
    again = unite(found.names)
    assert again.names.equals(found.names) and not again.united


@given(st.text(max_size=20))
def test_every_text_has_a_key(text):
    assert isinstance(compound_key(text), str) and compound_key(text) == compound_key(compound_key(text))


def test_the_commonest_spelling_stands_and_the_others_are_listed():
    found = unite(pd.Series(["MS-275", "ms 275", "MS-275", None, "taxol"], index=list("abcde"), dtype=object))
    assert found.names.fillna("").tolist() == ["MS-275", "MS-275", "MS-275", "", "taxol"]
    assert found.united == {"MS-275": ("ms 275",)} and found.spellings == ["MS-275 = ms 275"]


def test_names_that_look_alike_are_listed_with_their_codes():
    found = unite(pd.Series(["GW 441756", "GW\u00a0441756"]))
    assert found.spellings == ["GW 441756 = GW\\xa0441756"]


def test_ids_unite_names_and_names_unite_ids():
    names = pd.Series(["taxol", "paclitaxel", "Paclitaxel", "other", "doxorubicin", "doxorubicin HCl", "doxorubicin"])
    ids = pd.Series(["A", "A", None, "B", "C", "C", "D"], dtype=object)
    found = unite(names, ids)
    codes = pd.factorize(found.names)[0].tolist()
    assert codes == [0, 0, 0, 1, 2, 2, 2], "rows without an id follow their name, and salts their compound"
    assert found.synonyms == ["Paclitaxel = paclitaxel = taxol", "doxorubicin = doxorubicin HCl"]
    assert not found.spellings


def test_a_placeholder_is_no_id_and_a_catalogue_is_no_compound():
    names = pd.Series(list("abcde") + ["library"] * 4)
    ids = pd.Series(["confidential"] * 5 + ["1", "2", "3", "4"], dtype=object)
    found = unite(names, ids)
    assert found.names.tolist() == [*"abcde", "library (1)", "library (2)", "library (3)", "library (4)"]
    assert found.placeholders == ("confidential",) and found.apart == ("library",)


def test_a_structure_may_have_any_number_of_names():
    key = "RCINICONZNJXQF-MZXODVADSA-N"
    assert unite(pd.Series(list("abcdef")), pd.Series([key] * 6)).names.nunique() == 1
    assert unite(pd.Series(["a", "b"]), pd.Series(["2244", "2244.0"])).names.nunique() == 1
    assert unite(pd.Series(["a", "b"]), pd.Series(["C1CCCCC1", "c1ccccc1"])).names.nunique() == 2


def test_names_that_are_one_compound_each_stay_as_they_are():
    names = pd.Series([f"{number:09x}" for number in range(0, 10**9, 10**7)])
    found = unite(names)
    assert found.names.tolist() == names.tolist() and not found.united


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["doxorubicin", "Doxorubicin hydrochloride"], True),
        (["imatinib", "imatinib mesylate hydrate"], True),
        (["X-01 (HCl)", "X-01·2HCl"], True),
        (["sodium butyrate", "butyrate"], True),
        (["ibuprofen", "Ibuprofen sodium salt"], True),
        (["morphine", "morphine sulphate pentahydrate"], True),
        (["Torin 1 HCl", "Torin 2"], False),
        (["(+)-JQ1 HCl", "(-)-JQ1"], False),
        (["sodium chloride", "sodium phosphate", "sodium"], False),
        (["MS-275", "ms 275"], False),  # one compound in any case
        (["acetate", "HCl"], False),
    ],
)
def test_salts_of_one_compound_are_found(names, found):
    assert salts(names) == ([tuple(sorted(names))] if found else [])


@given(st.text(max_size=200))
def test_any_text_may_be_a_salt(text):
    assert salts([text, f"{text} x"]) in ([], [tuple(sorted((text, f"{text} x")))])
