"""Names of parts."""

from moa.bench.command import DEFAULT, GROUPS, expand_parts


def test_groups_of_parts():
    assert expand_parts([]) == list(DEFAULT) and "three-stage" not in DEFAULT
    assert expand_parts(["stage", "goals"]) == ["stage", *(part for part in GROUPS["goals"] if part != "stage")]
