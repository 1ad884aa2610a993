"""Ablations: what a part of the solution is worth, measured by leaving it out and compared with the write-up's claim.

An ablation is data (``moa.jobs.writeup_claims``): a claim, and arms that differ in one thing. Arms are trained by the
same runner as everything else, each in its own folder, so that a run that was killed continues, and an arm that two
ablations need is trained once. The honest OOF log losses are compared, on the treated rows that all arms of a
comparison cover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path

import pandas as pd

from moa.data.dataset import load_dataset
from moa.data.input_tables import has_table
from moa.data.schema import TRAIN_DRUG
from moa.data.synthetic import is_synthetic
from moa.environment import Folders
from moa.errors import UserError
from moa.files import ensure_writable, replacing
from moa.jobs.options import UnitOptions
from moa.jobs.writeup_claims import Ablation
from moa.metrics.losses import bootstrap_interval, log_loss, prevalence_baseline, row_log_loss
from moa.models.registry import recipe
from moa.progress import console
from moa.training.executors import UnitExecutor
from moa.training.runner import Runner
from moa.weights.trained import Trained


def run_ablations(
    ablations: Sequence[Ablation],
    where: Folders,
    out: Path,
    weights: Path | None = None,
    options: UnitOptions | None = None,
    executor: UnitExecutor | None = None,
) -> pd.DataFrame:
    """Train the arms that are not trained yet, compare them, and write ``OUT/ablations.{csv,md}``.

    Args:
        ablations: the ablations to run.
        where: profile of all arms, and folder of the data set; with train_drug.csv, drugs are resampled whole.
        out: folder of the tables, and of the changed models' weights.
        weights: weights folder of the unchanged models, as of `moa train`; None: they are trained in ``out`` too.
        options: which units, and where they are run; None: the defaults.
        executor: where units are run; None: where ``options`` say.

    Returns:
        one row per arm: columns of `compare`, after "ablation" and "model" and before "units" (trained so far) and
        "unit_seconds" (the time of each, added up: units that are trained side by side take less by the clock).
    """
    options = options or UnitOptions()
    runtime, selection = options.runtime, options.selection
    if executor is None:
        with options.executor() as executor:
            return run_ablations(ablations, where, out, weights, options, executor)
    ensure_writable(out)
    arms = [arm for each in ablations for comparison in each.comparisons for arm in comparison]
    wanted = [recipe(arm.model).needs(recipe(arm.model).configure(where.profile, arm.overlay)) for arm in arms]
    drugs = has_table(where.data, TRAIN_DRUG) or any(need["drugs"] for need in wanted)
    dataset = load_dataset(where.data, drugs=drugs, nonscored=any(need["nonscored"] for need in wanted))
    tables, done = [], 0
    for each in ablations:
        for comparison in each.comparisons:
            oofs, costs = {}, []
            for arm in comparison:
                done += 1
                text = f"{each.name}: {arm.label} ({arm.name}), arm {done} of {len(arms)}"
                console.print(text, highlight=False, markup=False, soft_wrap=True)
                model = recipe(arm.model)
                folder = out / "weights" if arm.overlay or weights is None else weights
                config = model.configure(where.profile, arm.overlay)
                trained = Trained(replace(model, name=arm.name), folder, config, dataset.schema, runtime)
                Runner(trained, where.profile, executor).train_units(dataset, selection, until=arm.stage)
                oofs[arm.label] = trained.oof(stage=arm.stage, selection=selection)
                costs.append(trained.cost(until=arm.stage))
            table = compare(oofs, dataset.scored[dataset.treated], dataset.drugs)
            table.insert(0, "ablation", each.name)
            table.insert(1, "model", recipe(comparison[0].model).title)
            table["units"], table["unit_seconds"] = zip(*costs, strict=True)
            tables.append(table)
    found = pd.concat(tables, ignore_index=True)
    with replacing(out / "ablations.csv") as temporary:
        found.to_csv(temporary, index=False, float_format="%.7g")
    with replacing(out / "ablations.md") as temporary:
        temporary.write_text(markdown(found, ablations, where.profile, is_synthetic(where.data)), encoding="utf-8")
    return found


def compare(oofs: Mapping[str, pd.DataFrame], y: pd.DataFrame, drugs: pd.Series | None = None) -> pd.DataFrame:
    """Compare arms with the first of them, on the rows that all cover.

    The interval describes chance in the rows: 95 % of paired bootstrap means of the rows' differences. Drugs are drawn
    whole where they are known, because rows of a drug are alike. Chance in training is not included: use more seeds.

    ``oofs`` are honest OOF predictions by label, the base first; ``y`` are the 0/1 labels of the treated rows, and
    ``drugs`` the drug_id of rows by sig_id.

    Returns:
        one row per arm: "variant", "rows", "log_loss", "prevalence" (the baseline on the same rows), "difference" (log
        loss minus the base's: above 0, the change costs), "low", "high"; NaN for the base itself.

    Raises:
        UserError: no row is covered by all.
    """
    rows = reduce(lambda rows, oof: rows.intersection(oof.index, sort=False), oofs.values(), y.index)
    if rows.empty:
        raise UserError(f"{', '.join(oofs)}: no treated row is predicted by all; train the same folds of each")
    groups = None if drugs is None else drugs.loc[rows].to_numpy()
    truth = y.loc[rows]
    prevalence = log_loss(truth, prevalence_baseline(y, rows))
    base, table = None, []
    for label, oof in oofs.items():
        losses = row_log_loss(truth, oof.loc[rows])
        base = losses if base is None else base
        gap, (low, high) = float("nan"), (float("nan"),) * 2
        if base is not losses:
            difference = (losses - base).to_numpy()
            gap, (low, high) = difference.mean(), bootstrap_interval(difference, groups)
        table.append((label, len(rows), losses.mean(), prevalence, gap, low, high))
    return pd.DataFrame(table, columns=["variant", "rows", "log_loss", "prevalence", "difference", "low", "high"])


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """The table of `run_ablations` as text, for printing."""
    base = table["difference"].isna()
    return pd.DataFrame(
        {
            "ablation": table["ablation"],
            "model": table["model"],
            "variant": table["variant"],
            "OOF log loss": table["log_loss"].map("{:.5f}".format),
            "difference": table["difference"].map("{:+.5f}".format).mask(base, "base"),
            "95 % interval": [
                "" if alone else f"{low:+.5f} to {high:+.5f}"
                for alone, low, high in zip(base, table["low"], table["high"], strict=True)
            ],
            "prevalence": table["prevalence"].map("{:.5f}".format),
            "rows": table["rows"].map("{:,}".format),
            "units": table["units"].astype(str),
            "unit time, s": table["unit_seconds"].map("{:,.0f}".format),
        }
    )


def markdown(table: pd.DataFrame, ablations: Sequence[Ablation], profile: str, synthetic: bool) -> str:
    """The table as a Markdown page, with the claims and how to read it."""
    words = in_words(table)
    lines = ["# Ablations", ""]
    if synthetic:
        lines += ["**On synthetic data: these figures say nothing about the competition.**", ""]
    lines += [f"- *{each.name}*: {each.claim}." for each in ablations]
    lines += [
        "",
        f"Profile `{profile}`. Honest OOF log loss on the treated rows that a model's variants share. Difference: "
        "what the change costs against the base, above 0 where it hurts, with the paired bootstrap interval over drugs "
        "(over rows where they are not known): chance in the rows, not in training. Unit time is that of the trained "
        "units, added up; units trained side by side take less by the clock.",
        "",
        f"| {' | '.join(words)} |",
        f"|{' --- |' * words.shape[1]}",
        *(f"| {' | '.join(row)} |" for row in words.itertuples(index=False)),
        "",
    ]
    return "\n".join(lines)
