"""Hyper-parameters of the perceptrons."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict

from moa.data.sizes import BATCH, WIDTH

if TYPE_CHECKING:
    from moa.learners.perceptron.network import Perceptron


class MLPSettings(BaseModel):
    """A perceptron and how it is trained; the defaults are the published settings. Source: write-up, common parts.

    Attributes:
        block: "3-fc" or "2-fc".
        hidden: width of the hidden layers.
        dropout: rates of the block's dropout layers.
        epochs: all are run; the one with the lowest validation loss is kept.
        batch_size: rows per step.
        max_lr, div_factor, pct_start: of OneCycleLR, stepped per batch; it also cycles Adam's first beta.
        weight_decay: Adam's L2 term.
        smoothing: the training loss uses y·(1-s) + s/2; the validation loss does not.
        target_clip: both losses use targets clipped to this range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    block: Literal["3-fc", "2-fc"] = "3-fc"
    hidden: Annotated[int, WIDTH] = 2048
    dropout: tuple[float, ...] = (0.0, 0.25, 0.25)
    epochs: int = 25
    batch_size: Annotated[int, BATCH] = 256
    max_lr: float = 1e-2
    div_factor: float = 1e3
    pct_start: float = 0.1
    weight_decay: float = 1e-5
    smoothing: float = 0.0
    target_clip: tuple[float, float] | None = None

    def network(self, n_inputs: int, n_targets: int, linear: Callable[..., Any]) -> Perceptron:
        """The untrained network; a subclass may return another ``Perceptron`` here.

        Args:
            n_inputs: number of columns of the inputs.
            n_targets: number of targets.
            linear: makes a linear layer of (inputs, outputs); a stored network is read into layers that draw no initial
                weights.
        """
        from moa.learners.perceptron.network import BLOCKS

        return BLOCKS[self.block](n_inputs, n_targets, hidden=self.hidden, dropout=self.dropout, linear=linear)
