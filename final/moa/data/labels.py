"""Check the tables that go with the features: labels, compounds, and the sample submission."""

from __future__ import annotations

import numpy as np
import pandas as pd

from moa.data.assay import Assay, Targets
from moa.data.checks import check_choices, check_ids, check_numbers
from moa.data.compounds import unite
from moa.data.problems import SHOWN, Problems
from moa.data.schema import SAMPLE_SUBMISSION, SIG_ID, TEST_FEATURES, TRAIN_FEATURES, TRAIN_SCORED
from moa.words import counted, listed


def check_labels(
    name: str,
    table: pd.DataFrame | None,
    targets: Targets,
    features: pd.DataFrame | None,
    problems: Problems,
    schema: Assay,
) -> pd.DataFrame | None:
    """Check a table of labels, as read from the file ``name``, against the checked training rows ``features``.

    Either is None where it could not be read or is not valid. Where the assay ``schema`` is not strict, labels of
    controls are ignored with a note.

    Returns:
        0/1, uint8, the rows of ``features`` in their order; None if anything is wrong.
    """
    if table is None:
        return None
    before = len(problems)
    columns = [column for column in table if column != SIG_ID]
    if isinstance(targets, tuple):
        problems.columns(name, "missing", [t for t in targets if t not in table], "the assay names it as a target")
        expected = set(targets)
        unknown = [column for column in columns if column not in expected]
        problems.columns(name, "unknown", unknown, "the assay has no target of that name")
        columns = [target for target in targets if target in table]
    elif targets is not None and len(columns) != targets:
        problems.append(f"{name}: {len(columns)} target columns; expected {targets} besides {SIG_ID}")
    check_ids(name, table, problems)
    check_numbers(name, table, columns, problems)
    if len(problems) > before:
        return None
    for column in columns:
        check_choices(name, table, column, (0, 1), problems)
    if len(problems) > before or features is None:
        return None
    table = table.set_index(SIG_ID)[columns]
    _same_ids(name, table.index, features.index, problems)
    if len(problems) > before:
        return None
    table = table.loc[features.index].astype(np.uint8)
    labelled = ~schema.is_treated(features).to_numpy() & table.to_numpy().any(axis=1)
    controls = features.index[labelled]
    if len(controls) and not schema.strict:
        problems.note(f"{name}: {len(controls):,} controls have a label, which is ignored")
        table.loc[labelled] = 0
    elif len(controls):
        first = table.loc[controls[:SHOWN]].idxmax(axis=1)  # one column per row is enough to find it
        places = "; ".join(f"column '{column}', {SIG_ID} {sig_id}" for sig_id, column in first.items())
        rest = len(controls) - SHOWN
        more = f" and {counted(rest, 'more row')}" if rest > 0 else ""
        problems.append(f"{name}: {places}{more}: expected 0, since the row is a control")
    return table


def check_drugs(
    name: str, table: pd.DataFrame | None, features: pd.DataFrame | None, problems: Problems
) -> pd.Series | None:
    """Check the table of compounds; returns the compound of each row of ``features``, None if anything is wrong.

    Spellings of one compound are one: a compound on both sides of a fold would be predicted from itself.
    """
    if table is None:
        return None
    before = len(problems)
    if list(table.columns) != [SIG_ID, "drug_id"]:
        problems.append(f"{name}: columns {', '.join(table.columns)}; expected {SIG_ID}, drug_id")
        return None
    check_ids(name, table, problems)
    problems.rows(name, "drug_id", table["drug_id"].isna().to_numpy(), table[SIG_ID], "an id, found an empty cell")
    if len(problems) > before or features is None:
        return None
    drugs = table.set_index(SIG_ID)["drug_id"]
    _same_ids(name, drugs.index, features.index, problems)
    if len(problems) > before:
        return None
    found = unite(drugs.loc[features.index])
    if not found.united:
        return drugs.loc[features.index]
    problems.note(f"{name}: spellings of one compound are one compound: {listed(found.spellings)}")
    return found.names


def check_sample(
    table: pd.DataFrame | None, test: pd.DataFrame | None, targets: list[str] | None, problems: Problems
) -> pd.DataFrame | None:
    """Check the sample submission, which sets the order of a submission's rows and columns.

    A user may replace the test file by new plates and leave the competition's sample in the folder: a sample of other
    rows is left out with a note.
    """
    if table is None or test is None or targets is None:
        return None
    before = len(problems)
    check_ids(SAMPLE_SUBMISSION, table, problems)
    if len(problems) == before and set(table[SIG_ID]) != set(test.index):
        problems.note(f"{SAMPLE_SUBMISSION}: has other rows than {TEST_FEATURES}, so it is left out")
        return None
    fix, known = f"expected the columns of {TRAIN_SCORED}", {SIG_ID, *targets}
    problems.columns(SAMPLE_SUBMISSION, "missing", [target for target in targets if target not in table], fix)
    problems.columns(SAMPLE_SUBMISSION, "unknown", [column for column in table if column not in known], fix)
    return table.set_index(SIG_ID) if len(problems) == before else None


def _same_ids(name: str, ids: pd.Index, expected: pd.Index, problems: Problems) -> None:
    problems.ids(name, expected.difference(ids, sort=False), f"missing, although it is in {TRAIN_FEATURES}")
    problems.ids(name, ids.difference(expected, sort=False), f"not in {TRAIN_FEATURES}")
