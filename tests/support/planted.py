"""Weights folders that hold planted histories and no weights."""

from pathlib import Path

import pandas as pd

from moa.data.assay import COMPETITION
from moa.files import write_json
from moa.models import winners
from moa.models.registry import recipe


def plant(weights: Path, name: str, losses: dict, column: str = "valid_batch_loss", overlay=None, **manifest) -> Path:
    """Write a manifest and finished units with the given best losses.

    Args:
        weights: the weights folder; returned.
        name: name of the model.
        losses: best loss by (stage, seed, fold).
        column: column of the histories that holds it; other columns hold 0.5 and must not be compared.
        overlay: settings that differ from the published ones.
        manifest: further parts of the manifest.
    """
    model = recipe(name)
    settings = model.configure("kaggle", overlay).model_dump(mode="json")
    facts = {"model": name, "recipe": model.version, "profile": "kaggle", "settings": settings}
    facts |= {"schema": COMPETITION.plain, **manifest}
    write_json(weights / name / "manifest.json", facts)
    for (stage, seed, fold), loss in losses.items():
        history = [
            {"epoch": epoch, "train_loss": 0.5, "valid_loss": 0.5, column: value}
            for epoch, value in enumerate([2 * loss, loss, 1.01 * loss])
        ]
        unit = {"stage": stage, "seed": seed, "fold": fold, "seconds": 1.0, "history": history}
        unit |= {"meta": {}, "variants": []}
        write_json(weights / name / stage / f"seed-{seed}" / f"fold-{fold}" / "unit.json", unit)
    return weights


def logged(name: str, shift: float = 0.0) -> dict:
    """The winners' best losses by (stage, seed, fold), shifted; without those after phase 3."""
    logs = [log for log in winners.logs(name) if log.kind != "after phase 3"]
    return {(log.stage, *unit): loss + shift for log in logs for unit, loss in log.best.items()}


def fold_means(name: str, shift: float = 0.0) -> dict:
    """As ``logged``, with the mean of the winners' seeds in each fold instead of each seed's own loss."""
    means = pd.Series(logged(name)).groupby(level=[0, 2]).transform("mean")
    return (means + shift).to_dict()
