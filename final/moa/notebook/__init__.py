"""What the notebooks share: what they run on, experiments, feature steps, live curves and tables of scores.

A notebook installs packages that Kaggle's image lacks before it imports this; see ``moa.kaggle.session``.
"""

from moa.notebook.experiment import Experiment
from moa.notebook.steps import feature_steps
from moa.notebook.tables import (
    agreement,
    calibration,
    claims,
    drug_sizes,
    every_oof,
    groups_of,
    members,
    pairs,
    per_target,
    published_chart,
    rows_by_kind,
    runs_on,
    strongest,
    target_pairs,
    targets_best_and_worst,
)

__all__ = [
    "Experiment",
    "agreement",
    "calibration",
    "claims",
    "drug_sizes",
    "every_oof",
    "feature_steps",
    "groups_of",
    "members",
    "pairs",
    "per_target",
    "published_chart",
    "rows_by_kind",
    "runs_on",
    "strongest",
    "target_pairs",
    "targets_best_and_worst",
]
