"""Hyper-parameters of TabNet."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict

from moa.data.sizes import BATCH, GHOST_MOMENTUM


class TabNetSettings(BaseModel):
    """TabNet on multi-label targets; the defaults are the published settings. Source: write-up, 2-stage NN + TabNet.

    The first ``len(cat_dims)`` input columns hold categories as codes 0, 1, …; the others are numbers.

    Attributes:
        n_d, n_a, n_steps, gamma, lambda_sparse, mask_type: see TabNet's paper and the pytorch-tabnet library.
        cat_dims, cat_emb_dim: number of categories of the coded columns and width of their embeddings, one number per
            column; None: set by the stage from the conditions of the data's schema, with embeddings of width 1.
        lr, weight_decay: Adam.
        milestones, decay: MultiStepLR, in epochs.
        smoothing: y·(1-s) + s/2 in the training loss and in the metric that stops training.
        batch_size, virtual_batch_size: rows per step, and rows per "ghost" batch norm.
        norm_momentum: weight of a ghost batch in the moving averages of batch norm; published: the library's default.
        epochs, patience: most epochs, and epochs without gain before stopping; the best epoch is kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_d: int = 32
    n_a: int = 32
    n_steps: int = 1
    gamma: float = 1.3
    lambda_sparse: float = 0.0
    mask_type: Literal["entmax", "sparsemax"] = "entmax"
    cat_dims: tuple[int, ...] | None = None
    cat_emb_dim: tuple[int, ...] | None = None
    lr: float = 2e-2
    weight_decay: float = 1e-5
    milestones: tuple[int, ...] = (100, 150)
    decay: float = 0.9
    smoothing: float = 0.001
    batch_size: Annotated[int, BATCH] = 1024
    virtual_batch_size: Annotated[int, BATCH] = 128
    norm_momentum: Annotated[float, GHOST_MOMENTUM] = 0.02
    epochs: int = 200
    patience: int = 50
