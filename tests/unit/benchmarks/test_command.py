"""Names of parts, and how long they take."""

from tests.benchmarks.command import DEFAULT, GROUPS, PARTS, _shares, expand_parts


def test_groups_of_parts():
    assert expand_parts([]) == list(DEFAULT) and "three-stage" not in DEFAULT
    assert expand_parts(["stage", "goals"]) == ["stage", *(part for part in GROUPS["goals"] if part != "stage")]


def test_parts_are_counted_by_their_time():
    """The first part of the goals takes half of the time, so a fifth of the parts says little."""
    shares = _shares(GROUPS["goals"])
    assert shares[0] == 0 and shares == sorted(shares) and 0.4 < shares[1] < 0.75
    assert _shares(GROUPS["gpu"]) is None, "a part whose time is not known makes all of it unknown"
    minutes = {group: sum(PARTS[part].minutes for part in GROUPS[group]) for group in ("goals", "growth")}
    assert minutes == {"goals": 17, "growth": 20}, "as the help says in words"
