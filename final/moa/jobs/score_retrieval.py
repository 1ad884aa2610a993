"""Retrieval of mechanisms from features and from predictions."""

from __future__ import annotations

import pandas as pd

from moa.data.wells import COMPOUND
from moa.environment import cache_folder
from moa.errors import UserError
from moa.jobs.score_inputs import Case, common_rows
from moa.jobs.score_treatments import by_treatment
from moa.metrics.retrieval import LEVEL, retrieval
from moa.progress import progress


def retrieve(case: Case) -> pd.DataFrame:
    """Retrieval of mechanisms from the features, and from the predicted probabilities, by copairs.

    Profiles are treatments: the median of their wells' features, and the mean of their probabilities. The compounds
    must be known.

    Returns:
        one row per source ("features", or a prediction's name) and mechanism; see `moa.metrics.retrieval.retrieval`.
    """
    if COMPOUND not in case.known:
        raise UserError("--retrieval needs the compound of each row: train_drug.csv, or a column compound in wells.csv")
    case, _ = by_treatment(common_rows(case))
    sources = {} if case.features is None else {"features": case.features.loc[case.y.index]}
    sources |= {each.name: each.table for each in case.predictions}
    tables = []
    with progress("retrieval of mechanisms", len(sources)) as bar:
        for done, (name, profiles) in enumerate(sources.items(), 1):
            found = retrieval(profiles, case.y, case.known[COMPOUND], cache=cache_folder() / "copairs").reset_index()
            found.insert(0, "source", name)
            tables.append(found)
            bar.update(done, name)
    table = pd.concat(tables, ignore_index=True)
    table["retrieved"] = table["corrected_p_value"] < LEVEL
    return table
