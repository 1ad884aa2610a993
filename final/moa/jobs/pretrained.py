"""The ImageNet weights that the recipes start from."""

from __future__ import annotations

from pathlib import Path

from moa.data.assay import COMPETITION
from moa.learners.deepinsight.backbones import Backbone
from moa.learners.deepinsight.downloads import Fetched, fetch_pretrained
from moa.learners.deepinsight.learner import CNNLearner
from moa.models.registry import recipes
from moa.progress import progress


def pretrained_backbones() -> list[Backbone]:
    """The backbones that published settings start from ImageNet weights, each file of weights once."""
    found: dict[str | None, Backbone] = {}
    for recipe in recipes().values():
        for stage in recipe.stages(recipe.configure("kaggle"), COMPETITION):
            if isinstance(stage.learner, CNNLearner) and stage.learner.pretrained:
                found.setdefault(stage.learner.backbone.name, stage.learner.backbone)
    return list(found.values())


def fetch_all_pretrained(folder: Path) -> list[Fetched]:
    """Fetch the weights of all of them into a folder, or check those that are there.

    Raises:
        UserError: as of ``moa.learners.deepinsight.downloads.fetch_pretrained``.
    """
    fetched = []
    with progress("ImageNet weights", even=False) as bar:
        for backbone in pretrained_backbones():

            def tell(name: str, done: int, size: int | None) -> None:
                bar.update(0, f"{name}: {done / 2**20:,.1f}{f' of {size / 2**20:,.1f}' if size else ''} MiB")

            fetched.append(fetch_pretrained(backbone, folder, tell))
    return fetched
