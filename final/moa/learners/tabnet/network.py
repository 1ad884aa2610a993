"""TabNet's network (Arik & Pfister 2019), with the parameters, names and initial values of the pytorch-tabnet library.

So weights that the library trained are read, and the same seed starts from the same weights. What differs is how it is
computed: all virtual batches of a step share one batch norm, the attention sorts the largest values of a row alone
(``moa.learners.tabnet.masks``), groups of one column need no product, and what the first and the last step leave unused
is not computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moa.learners.tabnet.masks import MASKS
from moa.learners.tabnet.settings import TabNetSettings

_INITIAL_MOMENTUM = 0.01
#: Added to shares before their logarithm is taken.
_EPS = 1e-15
#: The square root of a half in 32 bits, as the library has it in any precision.
_HALF = float(torch.tensor(0.5).sqrt())


def virtual_batches(rows: int, size: int) -> tuple[int, int]:
    """Number and rows of the equal virtual batches of a batch; the remaining rows are one more, which is shorter.

    They are cut as ``torch.chunk`` cuts them. A virtual batch of a single row, which has no variance, is avoided.
    """
    count = math.ceil(rows / size)
    each = math.ceil(rows / count)
    while rows % each == 1 and count > 1:
        count -= 1
        each = math.ceil(rows / count)
    return rows // each, each


def arranged(rows: Tensor, size: int) -> Tensor:
    """Rows of a batch in an order in which its virtual batches alternate: the first of each, then the second of each.

    So a table (rows, columns) is also one of (rows of a virtual batch, virtual batches × columns), without a copy.
    """
    count, each = virtual_batches(len(rows), size)
    equal = rows[: count * each].view(count, each).T.reshape(-1)
    return torch.cat([equal, rows[count * each :]])


class GhostNorm(nn.Module):
    """Batch norm over each virtual batch of a batch whose rows are ``arranged``."""

    def __init__(self, width: int, settings: TabNetSettings):
        super().__init__()
        self.size = settings.virtual_batch_size
        self.bn = nn.BatchNorm1d(width, momentum=settings.norm_momentum)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.bn(x)
        count, each = virtual_batches(len(x), self.size)
        equal = count * each
        if equal == len(x):
            return self._normed(x, count)
        return torch.cat([self._normed(x[:equal], count), self._normed(x[equal:], 1)])

    def _normed(self, x: Tensor, count: int) -> Tensor:
        norm, width = self.bn, x.shape[1]
        assert norm.momentum is not None and norm.running_mean is not None and norm.running_var is not None
        mean, variance = x.new_zeros(count * width), x.new_zeros(count * width)
        beside = x.reshape(-1, count * width)
        weight, bias = norm.weight.repeat(count), norm.bias.repeat(count)
        out = F.batch_norm(beside, mean, variance, weight, bias, True, 1.0, norm.eps)
        with torch.no_grad():  # as if one virtual batch came after the other
            kept = 1 - norm.momentum
            shares = norm.momentum * kept ** torch.arange(count - 1, -1, -1, device=x.device, dtype=x.dtype)
            norm.running_mean.mul_(kept**count).add_(shares @ mean.view(count, width))
            norm.running_var.mul_(kept**count).add_(shares @ variance.view(count, width))
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked += count
        return out.view(x.shape)


def _linear(n_inputs: int, n_outputs: int) -> nn.Linear:
    return nn.Linear(n_inputs, n_outputs, bias=False)


class Gated(nn.Module):
    """A linear layer, batch norm and a gated linear unit.

    Args:
        n_inputs, n_outputs: columns.
        settings: of the network.
        shared: the linear layer, where several steps share it; its weights are drawn again.
    """

    def __init__(self, n_inputs: int, n_outputs: int, settings: TabNetSettings, shared: nn.Linear | None = None):
        super().__init__()
        self.fc = shared or _linear(n_inputs, 2 * n_outputs)
        gain = math.sqrt((n_inputs + 2 * n_outputs) / math.sqrt(n_inputs))
        nn.init.xavier_normal_(self.fc.weight, gain=gain)
        self.bn = GhostNorm(2 * n_outputs, settings)

    def forward(self, x: Tensor) -> Tensor:
        return F.glu(self.bn(self.fc(x)), 1)


class Block(nn.Module):
    """Two gated layers with residual connections; the first block of two takes the inputs, which are wider."""

    def __init__(self, n_inputs: int, n_outputs: int, settings: TabNetSettings, shared: nn.ModuleList | None = None):
        super().__init__()
        self.shared_layers = shared
        layers: Sequence[nn.Linear | None] = list(shared) if shared else [None, None]  # type: ignore[arg-type]
        widths = (n_inputs, n_outputs)
        self.glu_layers = nn.ModuleList(
            Gated(width, n_outputs, settings, layer) for width, layer in zip(widths, layers, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.glu_layers
        x = first(x) if self.shared_layers is not None else (x + first(x)) * _HALF
        return (x + second(x)) * _HALF


class FeatureTransformer(nn.Module):
    """A block of layers that all steps share, and a block of the step's own."""

    def __init__(self, n_inputs: int, settings: TabNetSettings, shared: nn.ModuleList):
        super().__init__()
        width = settings.n_d + settings.n_a
        self.shared = Block(n_inputs, width, settings, shared)
        self.specifics = Block(width, width, settings)

    def forward(self, x: Tensor) -> Tensor:
        return self.specifics(self.shared(x))


class Attention(nn.Module):
    """Shares of the columns that a step looks at."""

    def __init__(self, n_inputs: int, n_columns: int, settings: TabNetSettings):
        super().__init__()
        self.fc = _linear(n_inputs, n_columns)
        gain = math.sqrt((n_inputs + n_columns) / math.sqrt(4 * n_inputs))
        nn.init.xavier_normal_(self.fc.weight, gain=gain)
        self.bn = GhostNorm(n_columns, settings)
        self.mask = MASKS[settings.mask_type]

    def forward(self, x: Tensor, prior: Tensor | None) -> Tensor:
        x = self.bn(self.fc(x))
        return self.mask(x if prior is None else x * prior, self.training)


def _embedded(n_inputs: int, settings: TabNetSettings) -> int:
    """Columns of the inputs once the coded ones are embedded."""
    widths = settings.cat_emb_dim or ()
    return n_inputs + sum(widths) - len(widths)


class Encoder(nn.Module):
    """The steps: each looks at some columns, and gives a part of the output.

    The columns of an embedding share the attention to their input column evenly.
    """

    def __init__(self, n_inputs: int, settings: TabNetSettings):
        super().__init__()
        self.n_d, self.gamma, self.widths = settings.n_d, settings.gamma, settings.cat_emb_dim or ()
        n_columns = _embedded(n_inputs, settings)
        width = settings.n_d + settings.n_a
        self.initial_bn = nn.BatchNorm1d(n_columns, momentum=_INITIAL_MOMENTUM)
        shared = nn.ModuleList([_linear(n_columns, 2 * width), _linear(width, 2 * width)])
        self.initial_splitter = FeatureTransformer(n_columns, settings, shared)
        self.feat_transformers, self.att_transformers = nn.ModuleList(), nn.ModuleList()
        for _ in range(settings.n_steps):
            self.feat_transformers.append(FeatureTransformer(n_columns, settings, shared))
            self.att_transformers.append(Attention(settings.n_a, n_inputs, settings))

    def forward(self, x: Tensor, sparsity: bool) -> tuple[Tensor, Tensor | None]:
        """The sum of all steps' outputs, shape (rows, n_d); and, if asked for, the entropy of the shares."""
        x = self.initial_bn(x)
        out = self.initial_splitter(x)
        total: Tensor | None = None
        prior: Tensor | None = None
        entropy = x.new_zeros(()) if sparsity else None
        for number, (transformer, attention) in enumerate(
            zip(self.feat_transformers, self.att_transformers, strict=True), 1
        ):
            shares = attention(out[:, self.n_d :], prior)
            if entropy is not None:
                entropy = entropy + (shares * (shares + _EPS).log()).sum(1).mean()
            if number < len(self.att_transformers):
                prior = (self.gamma - shares) * (1 if prior is None else prior)
            out = transformer(self._spread(shares) * x)
            part = out[:, : self.n_d].relu()
            total = part if total is None else total + part
        assert total is not None
        return total, None if entropy is None else entropy / len(self.att_transformers)

    def _spread(self, shares: Tensor) -> Tensor:
        """Shares of the columns from shares of the inputs."""
        if set(self.widths) <= {1}:
            return shares
        coded = [(shares[:, [place]] * (1 / width)).expand(-1, width) for place, width in enumerate(self.widths)]
        return torch.cat([*coded, shares[:, len(coded) :]], 1)


class Body(nn.Module):
    """The network behind the embeddings. Its ``initial_bn`` is not used; the library has it too."""

    def __init__(self, n_inputs: int, n_targets: int, settings: TabNetSettings):
        super().__init__()
        self.initial_bn = nn.BatchNorm1d(_embedded(n_inputs, settings), momentum=_INITIAL_MOMENTUM)
        self.encoder = Encoder(n_inputs, settings)
        self.final_mapping = _linear(settings.n_d, n_targets)
        gain = math.sqrt((settings.n_d + n_targets) / math.sqrt(4 * settings.n_d))
        nn.init.xavier_normal_(self.final_mapping.weight, gain=gain)


class Embedder(nn.Module):
    """Embeddings in the places of the coded columns, which come first."""

    def __init__(self, settings: TabNetSettings):
        super().__init__()
        sizes = zip(settings.cat_dims or (), settings.cat_emb_dim or (), strict=True)
        self.embeddings = nn.ModuleList(nn.Embedding(*size) for size in sizes)

    def forward(self, x: Tensor) -> Tensor:
        parts = [embedding(x[:, column].long()) for column, embedding in enumerate(self.embeddings)]
        return torch.cat([*parts, x[:, len(parts) :]], 1)


class TabNet(nn.Module):
    """The whole network; initialised from torch's global generator.

    Args:
        n_inputs: columns of the inputs, the coded ones first.
        n_targets: outputs.
        settings: hyper-parameters.
    """

    def __init__(self, n_inputs: int, n_targets: int, settings: TabNetSettings):
        super().__init__()
        self.embedder = Embedder(settings)
        self.tabnet = Body(n_inputs, n_targets, settings)

    def forward(self, x: Tensor, sparsity: bool = False) -> tuple[Tensor, Tensor | None]:
        """Logits and the mean entropy of the attention.

        Args:
            x: shape (rows, n_inputs); in training, rows are ``arranged``.
            sparsity: compute the entropy.

        Returns:
            shape (rows, n_targets); and a number, None where it is not asked for.
        """
        out, entropy = self.tabnet.encoder(self.embedder(x), sparsity)
        return self.tabnet.final_mapping(out), entropy
