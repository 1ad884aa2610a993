"""What the page about new plates shows of treatments, compounds and mechanisms, and what it warns of."""

from __future__ import annotations

from typing import Any

import numpy as np

from moa.blending.answers import Answers, rank_compounds
from moa.blending.explained import PlateResult
from moa.blending.reliability import LEAST_COMPOUNDS, Reliability
from moa.data.assay import Assay
from moa.reporting.page import rounded
from moa.words import counted

#: Compounds that the page lists; those with the highest probabilities. The tables hold all.
MOST_COMPOUNDS = 2000
#: Fewer training compounds than this are too few for most mechanisms.
FEW_COMPOUNDS = 20
_LONGEST = 80


def answers_data(answers: Answers, ranked: int) -> dict[str, Any]:
    """Compounds with their treatments, and the compounds of each mechanism, as JSON values.

    Args:
        answers: of a file.
        ranked: mechanisms of a compound.

    Returns:
        "compounds": name, wells, moa (places of its likeliest targets), p, agree (share of wells with the first of them
        in first place), trained ("well" or "compound" where its probabilities are out of fold), doses (of its
        treatments name, wells, first target, p of the compound's first one); "mechanisms": by target the places of its
        likeliest compounds with p and expected precision; "left_out": number of compounds that are not listed.
    """
    p = answers.compounds.to_numpy(np.float64)
    kept = np.sort(np.argsort(-p.max(axis=1), kind="stable")[:MOST_COMPOUNDS])
    names = answers.compounds.index[kept]
    doses: dict[str, list[dict[str, Any]]] = {}
    first_of = dict(zip(names, p[kept].argmax(axis=1), strict=True))
    values = answers.treatments.to_numpy(np.float64)
    rows = zip(answers.about_treatments.itertuples(), values, strict=True)
    for about, own in rows:
        if about.compound in first_of:
            line = {"name": str(about.Index)[:_LONGEST], "wells": int(about.wells), "first": int(own.argmax())}
            doses.setdefault(about.compound, []).append(line | {"p": rounded(own[first_of[about.compound]])})
    compounds = []
    for place, name in zip(kept, names, strict=True):
        best = np.argsort(-p[place], kind="stable")[:ranked]
        about = answers.about.iloc[place]
        compounds.append(
            {
                "name": str(name)[:_LONGEST],
                "wells": int(about["wells"]),
                "moa": best.tolist(),
                "p": rounded(p[place, best]),
                "agree": rounded(answers.agree.to_numpy()[place, best[0]]),
                "doses": doses.get(name, []),
            }
            | ({"trained": about["in_training"]} if about["in_training"] else {})
        )
    listed = rank_compounds(answers.compounds.loc[names])
    places = names.get_indexer(listed["compound"])
    found: dict[str, list[list[Any]]] = {target: [] for target in answers.compounds}
    for target, place, chance, precision in zip(
        listed["moa"], places, listed["probability"], listed["expected_precision"], strict=True
    ):
        found[target].append([int(place), rounded(chance), rounded(precision)])
    return {
        "compounds": compounds,
        "mechanisms": [found[target] for target in answers.compounds],
        "left_out": len(p) - len(kept),
    }


def cautions_data(found: Reliability | None, targets: list[str]) -> dict[str, str]:
    """Why targets are marked, by their places; only those that are."""
    cautions = {} if found is None else found.trust.cautions.to_dict()
    return {str(place): cautions[target] for place, target in enumerate(targets) if target in cautions}


def warnings(run: PlateResult, schema: Assay, data: dict[str, Any]) -> list[str]:
    """What a reader must know before anything else on the page, one sentence each."""
    found, known = [], run.reliability
    if known is not None and known.loss > known.prevalence_loss:
        found.append(
            "Out of fold, these probabilities are worse than those of a model that predicts each mechanism's frequency "
            f"(log loss {known.loss:.3f}, {known.prevalence_loss:.3f}): do not rely on them."
        )
    own = not schema.of_competition  # the competition's models are those of the winners, folds included
    if known is not None and own and not known.held_out:
        found.append(
            "The folds did not hold out whole compounds, so what is said here of reliability is too good for new ones; "
            "train with --hold-out compound."
        )
    if known is not None and known.compounds is not None:
        count, marked = len(known.by_compound), len(known.trust.cautions)
        if count < FEW_COMPOUNDS:
            found.append(f"The training data have {counted(count, 'compound')}: too few to know most mechanisms by.")
        if marked and own:
            are = "is" if marked == 1 else "are"
            found.append(
                f"{marked} of {counted(len(known.table), 'mechanism')} {are} marked: fewer than {LEAST_COMPOUNDS} "
                "training compounds have them, or out of fold they were found no better than by chance."
            )
    if own and schema.control is None:
        found.append("The training data have no controls: its values are relative to all wells, not to untreated ones.")
    elif own and not any("control" in well for well in data["wells"]):
        found.append("This file has no controls: nothing shows whether its values compare with the training data.")
    trained = [well for well in data["wells"] if "trained" in well]
    if trained:
        are = "is" if len(trained) == 1 else "are"
        found.append(
            f"{counted(len(trained), 'sample')} {are} of compounds that were in training: marked, and shown with "
            "out-of-fold predictions."
        )
    return found
