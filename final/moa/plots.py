"""Figures of the report and the notebooks. Each function returns a matplotlib Figure and touches no global state."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure


def learning_curves(history: pd.DataFrame) -> Figure:
    """Training and validation loss by epoch: mean and range over seeds and folds, one panel a stage.

    Args:
        history: as ``Runner.history`` gives it.
    """
    stages = list(dict.fromkeys(history["stage"]))
    figure = Figure(figsize=(5 * len(stages), 3.4), layout="constrained")
    for axes, stage in zip(np.atleast_1d(figure.subplots(1, len(stages))), stages, strict=True):
        rows = history[history["stage"] == stage]
        for name, label in (("train_loss", "training"), ("valid_loss", "validation")):
            by_epoch = rows.groupby("epoch")[name]
            mean, low, high = by_epoch.mean(), by_epoch.min(), by_epoch.max()
            axes.plot(mean.index, mean, label=label)
            axes.fill_between(mean.index, low, high, alpha=0.2)
        # The first epochs are far above the rest and would flatten what matters.
        top = rows[["train_loss", "valid_loss"]].to_numpy()
        axes.set(title=stage, xlabel="epoch", ylabel="log loss", ylim=(top.min() * 0.9, np.quantile(top, 0.9) * 1.1))
        axes.legend()
    return figure


def correlation_heatmap(correlation: pd.DataFrame, title: str = "") -> Figure:
    """Correlation between the models' predictions.

    Args:
        correlation: square table, models by models.
    """
    side = 2.5 + 0.6 * len(correlation)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    sns.heatmap(correlation, annot=True, fmt=".2f", vmin=0, vmax=1, cmap="viridis", square=True, ax=axes, cbar=False)
    axes.set(title=title)
    return figure


def score_bars(scores: pd.DataFrame, title: str = "") -> Figure:
    """Log loss of each model beside the prevalence baseline.

    Args:
        scores: one row a model, columns "log loss" and "prevalence", indexed by title.
    """
    figure = Figure(figsize=(7, 0.9 + 0.4 * len(scores)), layout="constrained")
    axes = figure.subplots()
    axes.barh(scores.index, scores["log loss"], color="#3b6ea8", label="model")
    axes.scatter(scores["prevalence"], scores.index, marker="|", s=300, color="#c03a2b", label="prevalence baseline")
    axes.invert_yaxis()
    low = scores.min().min()
    axes.set(title=title, xlabel="OOF log loss, treated rows (lower is better)", xlim=(low * 0.8, None))
    axes.legend()
    return figure
