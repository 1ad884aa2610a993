"""The measures of predictions: log loss here; rankings, nearest neighbours and retrieval in modules of their own.

`moa.metrics.ranking` needs scipy and `moa.metrics.retrieval` copairs, so they are imported where they are used.
"""

from moa.metrics.losses import (
    CLIP,
    align,
    align_treated,
    bootstrap_interval,
    cell_log_loss,
    check_labels,
    check_probabilities,
    column_log_loss,
    competition_log_loss,
    log_loss,
    prediction_correlation,
    prevalence_baseline,
    row_log_loss,
    treated_log_loss,
    treated_to_all,
)

__all__ = [
    "CLIP",
    "align",
    "align_treated",
    "bootstrap_interval",
    "cell_log_loss",
    "check_labels",
    "check_probabilities",
    "column_log_loss",
    "competition_log_loss",
    "log_loss",
    "prediction_correlation",
    "prevalence_baseline",
    "row_log_loss",
    "treated_log_loss",
    "treated_to_all",
]
