"""Hyper-parameters of the two-heads network, and the names that its recipe, its learner and its readers share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict

from moa.data.sizes import BATCH, MOMENTUM, WIDTH

SECOND = "head2:"  # prefix of the columns of the second input
AFTER = "after-phase3"  # the variant of the OOF that has seen the validation fold


class TwoHeadsSettings(BaseModel):
    """A two-heads network and how it is trained; the defaults are the published settings of V1.

    Source: write-up, 2-heads ResNet.

    Attributes:
        width, bottleneck, dropout: of ``moa.learners.two_heads.network.TwoHeads``.
        batch_size: rows per step; the last step takes the rest.
        norm_momentum: weight of a batch in the moving averages of batch norm, 1 minus Keras's momentum.
        lr: of Adam.
        epochs, patience, min_delta: most epochs, and Keras's early stopping; the epoch of the lowest loss predicts.
        plateau_factor, plateau_patience: the learning rate falls when the validation loss stops falling.
        smoothing: both losses use y·(1-s) + s/2.
        phase3: rows on which the looper is fitted: "validation", as published, which leaks; "train", with the
            validation fold only monitored, so that its OOF is honest; "none".
        loop_lr: Adadelta's learning rate in the unfrozen steps.
        loop_epochs, loop_patience, loop_min_delta: most epochs of an unfrozen step, and its early stopping.
        loop_rounds: most unfrozen steps; the original had no bound.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: Annotated[int, WIDTH] = 512
    bottleneck: int = 206
    dropout: tuple[float, float] = (0.2, 0.3)
    batch_size: Annotated[int, BATCH] = 128
    norm_momentum: Annotated[float, MOMENTUM] = 0.01
    lr: float = 1e-3
    epochs: int = 50
    patience: int = 10
    min_delta: float = 1e-5
    plateau_factor: float = 0.5
    plateau_patience: int = 4
    smoothing: float = 0.0005
    phase3: Literal["none", "train", "validation"] = "none"
    loop_lr: float = 1e-3 / 5
    loop_epochs: int = 50
    loop_patience: int = 3
    loop_min_delta: float = 1e-6
    loop_rounds: int = 20
