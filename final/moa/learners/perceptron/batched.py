"""Many units of a stage as one batched network: all have the same layers.

Parameters, batch-norm statistics and Adam's moments of M members are stacked along a leading dimension, and a step of
all of them is one batched product per layer, which keeps a GPU busy. Each member keeps its own initial weights, order
of rows, dropout stream, statistics and best epoch, so that member i comes out as ``MLPLearner.fit`` alone would make
it, up to the rounding of sums taken in another order.

``MOA_COMPILE=1`` runs the batched step through torch.compile (worth its minute of preparation on a GPU only).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce_with_logits

from moa.environment import COMPILE, variable
from moa.learners.base import EpochCallback, Fitted, FoldData
from moa.learners.common import EVALUATED_ROWS, smooth, valid_weights
from moa.learners.dropout import SeededDropout, keep_mask, random_words
from moa.learners.matmul import linear, product
from moa.learners.perceptron import setup
from moa.learners.perceptron.network import fold_batch_norm
from moa.learners.perceptron.settings import MLPSettings
from moa.learners.runtime import Runtime


def fit_batched(
    learner: MLPSettings,
    data: Sequence[FoldData],
    seeds: Sequence[int],
    runtime: Runtime,
    callbacks: Sequence[EpochCallback | None],
    dtype: torch.dtype = torch.float32,
) -> list[Fitted]:
    """Train units together, see ``moa.learners.base.BatchedLearner``. Double precision is for comparisons.

    Raises:
        ValueError: the units do not share tables or steps.
    """
    first, device = data[0], runtime.torch_device
    counts = {setup.steps(learner, each) for each in data}
    if len(counts) > 1 or any(each.X is not first.X or each.y is not first.y for each in data):
        raise ValueError("units trained together share their tables and their number of steps per epoch")
    steps = counts.pop()
    X, y = setup.tables(learner, first, device, dtype)
    stack = Stack(learner, X.shape[1], y.shape[1], seeds, device, dtype)
    adam, schedule = setup.optimizer(learner, stack.parameters.values(), steps)
    losses = torch.compile(stack.losses) if variable(COMPILE) == "1" else stack.losses
    batches = [
        Batch.of([min(learner.batch_size, len(d.train) - step * learner.batch_size) for d in data], device, dtype)
        for step in (0, steps - 1)
    ]
    valid = nn.utils.rnn.pad_sequence([torch.from_numpy(d.valid) for d in data], batch_first=True).to(device)
    rows_weights = [valid_weights(len(d.valid), learner.batch_size).to(dtype) for d in data]
    weights = nn.utils.rnn.pad_sequence(rows_weights, batch_first=True).to(device)

    histories: list[list[dict[str, float]]] = [[] for _ in data]
    best_losses = [float("inf")] * len(data)
    best = {name: value.detach().clone() for name, value in stack.state().items()}
    for epoch in range(learner.epochs):
        total = torch.zeros(len(data), device=device, dtype=dtype)
        shuffled = stack.shuffle([d.train for d in data])
        for step in range(steps):
            batch = batches[step == steps - 1]
            rows = shuffled[:, step * learner.batch_size :][:, : batch.rows]
            loss = losses(X[rows], smooth(y[rows], learner.smoothing), stack.masks(batch), batch.weights, batch.unbias)
            adam.zero_grad(set_to_none=True)
            loss.sum().backward()  # no member's loss depends on another's parameters
            adam.step()
            schedule.step()
            total += loss.detach()

        valid_losses = stack.validate(X, y, valid, weights).tolist()
        improved = []
        train_losses = (total / steps).tolist()
        for member, (train_loss, (valid_loss, batch_loss)) in enumerate(zip(train_losses, valid_losses, strict=True)):
            row = {"epoch": epoch, "train_loss": train_loss, "valid_loss": valid_loss, "valid_batch_loss": batch_loss}
            histories[member].append(row)
            if callback := callbacks[member]:
                callback.on_epoch_end(epoch, learner.epochs, row)
            if data[member].keep_last or epoch == 0 or valid_loss < best_losses[member]:
                best_losses[member] = valid_loss
                improved.append(member)
        for name, value in stack.state().items():
            best[name][improved] = value.detach()[improved]
    meta = {"n_inputs": X.shape[1], "n_targets": y.shape[1]}
    return [
        Fitted({name: value[member].cpu().clone() for name, value in best.items()}, dict(meta), history)
        for member, history in enumerate(histories)
    ]


@dataclass(frozen=True)
class Batch:
    """Shape of a step: the members' batches side by side, padded to the longest.

    Attributes:
        sizes: rows of each member without padding.
        rows: the largest size.
        weights: None where all sizes are equal; else 1 / size in true rows, 0 in padding, shape (members, rows, 1).
        unbias: size / (size - 1), which turns variances into those that batch norm remembers, shape (members, 1).
    """

    sizes: list[int]
    rows: int
    weights: Tensor | None
    unbias: Tensor

    @classmethod
    def of(cls, sizes: list[int], device: torch.device, dtype: torch.dtype) -> Batch:
        """The batch of these sizes."""
        weights = None if len(set(sizes)) == 1 else _mean_weights(sizes, device, dtype)
        unbias = torch.tensor([[size / max(size - 1, 1)] for size in sizes], dtype=dtype).to(device)
        return cls(sizes, max(sizes), weights, unbias)


class Stack:
    """The networks of M units with every tensor stacked, under the names it has in a single network.

    Args:
        learner: the hyper-parameters of all members.
        n_inputs, n_targets: widths of the networks.
        seeds: model seed of each member.
        device: where the parameters lie.
        dtype: of the parameters.
    """

    def __init__(
        self,
        learner: MLPSettings,
        n_inputs: int,
        n_targets: int,
        seeds: Sequence[int],
        device: torch.device,
        dtype: torch.dtype,
    ):
        members = [setup.start(learner, n_inputs, n_targets, seed, device, dtype) for seed in seeds]
        self.layers = dict(members[0][0].named_children())
        self.generators, self.orders = [m[1] for m in members], [m[2] for m in members]
        self.device, self.dtype = device, dtype
        self.dropped: list[tuple[str, int, float]] = []  # name, columns and rate of each dropout
        for name, layer in self.layers.items():
            if isinstance(layer, nn.BatchNorm1d):
                columns = layer.num_features
            elif isinstance(layer, SeededDropout) and layer.p:
                self.dropped.append((name, columns, layer.p))
        networks = [m[0] for m in members]
        self.parameters = {k: v.requires_grad_() for k, v in _stacked([dict(n.named_parameters()) for n in networks])}
        self.buffers = dict(_stacked([dict(n.named_buffers()) for n in networks]))

    def state(self) -> dict[str, Tensor]:
        """All stacked tensors; entry i of each is member i's ``state_dict``."""
        return {**self.parameters, **self.buffers}

    def shuffle(self, train: Sequence) -> Tensor:
        """Each member's training rows in the order of its next epoch, shape (members, rows), padded with zeros."""
        parts = [
            torch.from_numpy(rows)[torch.randperm(len(rows), generator=order)]
            for rows, order in zip(train, self.orders, strict=True)
        ]
        return nn.utils.rnn.pad_sequence(parts, batch_first=True).to(self.device)

    def masks(self, batch: Batch) -> dict[str, Tensor]:
        """Dropout masks of a step. Each member's generator draws for the member's own rows only."""
        found, members = {}, len(batch.sizes)
        for name, columns, p in self.dropped:
            words = torch.zeros(members, random_words(batch.rows * columns), dtype=torch.int64, device=self.device)
            for own, size, generator in zip(words, batch.sizes, self.generators, strict=True):
                own[: random_words(size * columns)].random_(-(2**63), None, generator=generator)
            found[name] = keep_mask(words, (members, batch.rows, columns), p, self.dtype)
        return found

    def losses(
        self, x: Tensor, y: Tensor, masks: Mapping[str, Tensor], weights: Tensor | None, unbias: Tensor
    ) -> Tensor:
        """The members' mean losses over a batch, shape (members,); updates the running statistics.

        Args:
            x: inputs, shape (members, rows, inputs).
            y: targets, shape (members, rows, targets).
            masks: of ``masks``.
            weights: of ``Batch``.
            unbias: of ``Batch``.
        """
        # The first batch norm's scale and shift are left to the linear layer where there is no dropout between them.
        lazy = list(self.layers)[1] not in masks
        for name, layer in self.layers.items():
            if isinstance(layer, nn.BatchNorm1d):
                norm = self._of(name)
                x = self._standardise(norm, layer, x, weights, unbias)
                if not lazy:
                    x = torch.addcmul(norm["bias"].unsqueeze(1), x, norm["weight"].unsqueeze(1))
            elif isinstance(layer, nn.Linear):
                x = linear(x, *self._parts(name), *((norm["weight"], norm["bias"]) if lazy else ()))
                lazy = False
            elif name in masks:
                x = x * masks[name]
            elif not isinstance(layer, SeededDropout):
                x = layer(x)
        return _mean(bce_with_logits(x, y, reduction="none").mean(2, keepdim=True), weights).flatten()

    @torch.no_grad()
    def validate(self, x: Tensor, y: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        """The members' losses over padded ``rows`` in evaluation mode, summed with ``weights``.

        Args:
            x: all inputs.
            y: all targets.
            rows: positions of each member's validation rows, shape (members, rows).
            weights: of ``valid_weights``, 0 in the padding, shape (members, rows, 2).

        Returns:
            shape (members, 2).
        """
        steps: list[nn.Module | tuple[Tensor, Tensor]] = []
        for name, layer in self.layers.items():
            if isinstance(layer, nn.BatchNorm1d):
                norm, eps = self._of(name), layer.eps
            elif isinstance(layer, nn.Linear):
                weight, bias, length = self._parts(name)
                if length is not None:
                    weight = weight * (length / torch.linalg.vector_norm(weight, dim=-1, keepdim=True))
                steps.append(fold_batch_norm(norm, eps, weight, bias))
            elif not isinstance(layer, SeededDropout):
                steps.append(layer)
        total = torch.zeros(len(rows), 2, device=self.device, dtype=self.dtype)
        for part, weight in zip(rows.split(EVALUATED_ROWS, 1), weights.split(EVALUATED_ROWS, 1), strict=True):
            out = x[part]
            for step in steps:
                out = step(out) if isinstance(step, nn.Module) else product(out, *step)
            total += (bce_with_logits(out, y[part], reduction="none").mean(2, keepdim=True) * weight).sum(1)
        return total

    def _of(self, layer: str) -> dict[str, Tensor]:
        return {name.split(".")[1]: value for name, value in self.state().items() if name.startswith(f"{layer}.")}

    def _parts(self, name: str) -> tuple[Tensor, Tensor, Tensor | None]:
        """``moa.learners.perceptron.network.parts`` of all members."""
        normed = f"{name}.parametrizations.weight.original"
        bias = self.parameters[f"{name}.bias"]
        if f"{name}.weight" in self.parameters:
            return self.parameters[f"{name}.weight"], bias, None
        return self.parameters[f"{normed}1"], bias, self.parameters[f"{normed}0"]

    @staticmethod
    def _standardise(
        norm: Mapping[str, Tensor], layer: nn.BatchNorm1d, x: Tensor, weights: Tensor | None, unbias: Tensor
    ) -> Tensor:
        """Batch norm without scale and shift; updates the running statistics."""
        mean = _mean(x, weights)
        centred = x - mean
        variance = _mean(centred.square(), weights)
        assert layer.momentum is not None
        with torch.no_grad():
            norm["running_mean"].lerp_(mean.squeeze(1), layer.momentum)
            norm["running_var"].lerp_(variance.squeeze(1) * unbias, layer.momentum)
            norm["num_batches_tracked"].add_(1)
        return centred * torch.rsqrt(variance + layer.eps)


def _stacked(states: Sequence[Mapping[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    for name in states[0]:
        yield name, torch.stack([state[name].detach() for state in states])


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Mean over rows, kept as a dimension; weighted where some rows are padding."""
    return values.mean(1, keepdim=True) if weights is None else (values * weights).sum(1, keepdim=True)


def _mean_weights(sizes: Sequence[int], device: torch.device, dtype: torch.dtype) -> Tensor:
    """1 / size in each member's first ``size`` rows, 0 in the padding, shape (members, rows, 1)."""
    weights = [torch.full((size, 1), 1 / size, dtype=dtype) for size in sizes]
    return nn.utils.rnn.pad_sequence(weights, batch_first=True).to(device)
