"""The published scores of all models and blends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from moa.blending.blend import BlendSpec
from moa.models.registry import package_recipes


def published_scores(blends: Iterable[BlendSpec]) -> pd.DataFrame:
    """What the winners published, on the real data, of all models and of the ``blends``.

    Returns:
        one row per model or blend: "number" (text, from 1), "title", "shown" (the CV as in tables), "cv", "public" and
        "private" (NaN where none was published), and "blend" (whether it is one).
    """
    rows: list[tuple[Any, ...]] = [
        (model.title, model.cv_text, model.published.cv, model.published.public_lb, model.published.private_lb, False)
        for model in package_recipes().values()
        if model.published
    ]
    for spec in blends:
        known = spec.published
        rows.append((spec.title, spec.oof_text, known.oof, known.public_lb, known.private_lb, True))
    frame = pd.DataFrame(rows, columns=["title", "shown", "cv", "public", "private", "blend"])
    frame.insert(0, "number", [str(place) for place in range(1, len(frame) + 1)])
    return frame.astype({"cv": float, "public": float, "private": float})
