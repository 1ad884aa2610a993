"""Convolutional networks of the DeepInsight models: timm's EfficientNet and the resnest package's ResNeSt.

A backbone is a small frozen record of its settings. ``build_network`` puts the models' own head on it, and
``load_pretrained`` fills it with ImageNet weights, from a local folder first. Both packages, and torch, are imported
where they are used, because every command imports the recipes and so this module.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from moa.environment import PRETRAINED, needs, pretrained_folder
from moa.errors import UserError
from moa.files import sha256

if TYPE_CHECKING:
    from torch import Tensor, nn

    State = dict[str, Tensor]

#: Names under which training programs store the state of a network in a larger dictionary.
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "module")


class _Backbone(BaseModel):
    """Base class of the backbones.

    Attributes:
        head: name of the layer that the models' own head replaces.
        last_features: name of the layer whose output is the last feature map.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: ClassVar[str]
    last_features: ClassVar[str]


class EfficientNet(_Backbone):
    """EfficientNet of timm (Tan & Le 2019); the default is the published B3, noisy student (Xie et al. 2020).

    Attributes:
        name: timm's name, with the tag of its weights.
        drop: dropout before the head.
        drop_connect: rate at the last residual block, rising linearly from 0; timm calls it drop path.
    """

    head: ClassVar = "classifier"
    last_features: ClassVar = "bn2"

    kind: Literal["efficientnet"] = "efficientnet"
    name: str = "tf_efficientnet_b3.ns_jft_in1k"
    drop: float = 0.3
    drop_connect: float = 0.2

    @needs("cnn")
    def build(self) -> nn.Module:
        """The untrained network with the ImageNet classifier."""
        import timm

        return timm.create_model(self.name, drop_rate=self.drop, drop_path_rate=self.drop_connect)

    @needs("cnn")
    def files(self) -> dict[str, str]:
        """File names of published weights that have a checksum, and the addresses they come from."""
        import timm

        facts = timm.get_pretrained_cfg(self.name)
        # The hub's safetensors have no checksum that is known beforehand; put into the local folder, they are used.
        address = facts.url if facts is not None and isinstance(facts.url, str) else ""
        file = address.rsplit("/", 1)[-1]
        return {file: address} if pinned_sha256(file) else {}

    def downloads(self) -> list[Callable[[], State]]:
        """Ways to fetch the weights, in order of preference."""
        return [partial(_from_url, address) for address in self.files().values()]


class ResNeSt(_Backbone):
    """ResNeSt, the "fast" kind (Zhang et al. 2020), of the resnest package; the default is resnest50_fast_2s2x40d.

    Attributes:
        blocks: bottlenecks in each of the four stages.
        radix, cardinality, width: splits, groups and width of a bottleneck: 2s, 2x and 40d in the name.
        stem_width: channels of the first convolution.
        final_drop: dropout before the head: 0 in the published V1, 0.2 in V2.
    """

    head: ClassVar = "fc"
    last_features: ClassVar = "layer4"

    kind: Literal["resnest"] = "resnest"
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    radix: int = 2
    cardinality: int = 2
    width: int = 40
    stem_width: int = 32
    final_drop: float = 0.0

    @property
    def name(self) -> str | None:
        """The package's name of this network; None where it has none."""
        if (self.blocks, self.stem_width) != ((3, 4, 6, 3), 32):
            return None
        return f"resnest50_fast_{self.radix}s{self.cardinality}x{self.width}d"

    @needs("cnn")
    def build(self) -> nn.Module:
        """The untrained network with the ImageNet classifier."""
        # Built from the class: the package's named functions would download weights and unpickle anything in them.
        from resnest.torch.resnet import Bottleneck, ResNet

        return ResNet(
            Bottleneck,
            list(self.blocks),
            radix=self.radix,
            groups=self.cardinality,
            bottleneck_width=self.width,
            deep_stem=True,
            stem_width=self.stem_width,
            avg_down=True,
            avd=True,
            avd_first=True,
            final_drop=self.final_drop,
        )

    @needs("cnn")
    def files(self) -> dict[str, str]:
        """File names of published weights that have a checksum, and the addresses they come from."""
        from resnest.torch.ablation import resnest_model_urls

        if self.name not in resnest_model_urls:
            return {}
        published = resnest_model_urls[self.name]
        file = published.rsplit("/", 1)[-1]
        if not pinned_sha256(file):
            return {}
        return {file: f"https://github.com/zhanghang1989/ResNeSt/releases/download/weights_step1/{file}"}

    @needs("cnn")
    def downloads(self) -> list[Callable[[], State]]:
        """Ways to fetch the weights, in order: the project's releases, then the address in the package."""
        from resnest.torch.ablation import resnest_model_urls

        files = self.files()
        return [partial(_from_url, url) for url in (*files.values(), *(resnest_model_urls[self.name] for _ in files))]


Backbone = EfficientNet | ResNeSt
BACKBONES: dict[str, type[EfficientNet] | type[ResNeSt]] = {"efficientnet": EfficientNet, "resnest": ResNeSt}


def build_network(backbone: Backbone, n_targets: int, hidden: int = 512, pretrained: State | None = None) -> nn.Module:
    """A backbone with the DeepInsight head: Linear(hidden) → ELU → Linear(targets).

    The head's weights are drawn from ±1/sqrt(fan out), as EfficientNet's reference code does for dense layers; its
    biases start at 0. Draws from torch's global generator: call it inside ``torch.random.fork_rng``.

    Args:
        backbone: its settings.
        n_targets: outputs of the head.
        hidden: width of the head's hidden layer.
        pretrained: state of the backbone with its ImageNet classifier, which is then removed.
    """
    from torch import nn

    network = backbone.build()
    if pretrained is not None:
        network.load_state_dict(pretrained)
    inputs = getattr(network, backbone.head).in_features
    first, last = nn.Linear(inputs, hidden), nn.Linear(hidden, n_targets)
    for layer in (first, last):
        bound = 1 / math.sqrt(layer.out_features)
        nn.init.uniform_(layer.weight, -bound, bound)
        nn.init.zeros_(layer.bias)
    setattr(network, backbone.head, nn.Sequential(first, nn.ELU(), last))
    return network


def load_pretrained(backbone: Backbone, folder: Path | None = None, only: str | None = None) -> tuple[State, str]:
    """ImageNet weights of a backbone: from a local folder, else from the addresses of timm and resnest.

    Args:
        backbone: its settings.
        folder: local folder; None: the folder that MOA_PRETRAINED names, if it is set.
        only: name of the file in that folder; None: any that is known, else from the addresses.

    Returns:
        The state, and where it came from: file name with its sha256, or "hub".

    Raises:
        UserError: there are none, or a file is damaged or belongs to another network; the message says what to fetch.
    """
    folder = folder or pretrained_folder()
    files = backbone.files()
    own = [f"{backbone.name}.safetensors", f"{backbone.name}.pth"] if backbone.name else []
    names = [only] if only else [*own, *files]
    for path in [folder / name for name in names] if folder else []:
        if path.is_file():
            state, checksum = _read(path)
            return _checked(backbone, state, str(path)), f"{path.name} sha256:{checksum}"
    if not files:
        raise UserError(f"there are no ImageNet weights for this {backbone.kind}: train it with pretrained=False")
    problems = []
    for download in backbone.downloads():
        try:
            state = download()
        # Any failure of a server, in any of the libraries, leads to the one message below.
        except Exception as error:
            problems.append(f"{type(error).__name__}: {error}".splitlines()[0])
            continue
        return _checked(backbone, state, "the downloaded file"), "hub"
    name, address = next(iter(files.items()))
    where = f"{folder}" if folder else f"the folder that {PRETRAINED} names"
    raise UserError(
        f"ImageNet weights of {backbone.name} are not in a local folder and cannot be downloaded "
        f"({'; '.join(problems)}): run `moa weights pretrained DIR` where there is internet, or "
        f"download {address} and put it into {where} as {name}, or train from scratch with pretrained=False"
    )


def pinned_sha256(file: str) -> str:
    """The first digits of a published file's sha256, at least 8, in which its name ends; "" where it has none."""
    found = re.search(r"-([0-9a-f]{8,64})\.(?:pth|safetensors)$", file)
    return found[1] if found else ""


def _read(path: Path) -> tuple[State, str]:
    import torch
    from safetensors.torch import load_file

    checksum = sha256(path)
    wanted = pinned_sha256(path.name)
    if not checksum.startswith(wanted):
        raise UserError(f"{path} is damaged: its sha256 begins {checksum[:8]}, not {wanted}; fetch it again")
    try:
        if path.suffix == ".safetensors":
            return load_file(path), checksum
        state = _unwrapped(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise UserError(f"{path} is not a file of weights ({type(error).__name__}); fetch it again") from error
    if state is None:
        raise UserError(f"{path} is not a file of weights (it holds other things than named tensors); fetch it again")
    return state, checksum


def _unwrapped(value: Any) -> State | None:
    """The state of a network as training programs store it: inside other dictionaries, or under longer names.

    None where there is none. Averaged weights are preferred, as in timm.
    """
    import torch

    while isinstance(value, Mapping):
        inner = next((value[name] for name in _WRAPPERS if isinstance(value.get(name), Mapping)), None)
        if inner is None:
            break
        value = inner
    if not isinstance(value, Mapping) or not value:
        return None
    state = dict(value)
    for prefix in ("module.", "model."):
        if all(isinstance(name, str) and name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): each for name, each in state.items()}
    whole = all(isinstance(name, str) and isinstance(each, torch.Tensor) for name, each in state.items())
    return state if whole else None


def _checked(backbone: Backbone, state: State, source: str) -> State:
    import torch

    with torch.random.fork_rng(devices=[]):
        expected = backbone.build().state_dict()
    # Old files lack batch norm's counters, which do not affect the result.
    state = {name: value for name, value in expected.items() if name.endswith("num_batches_tracked")} | state
    wanted, found = ({name: value.shape for name, value in each.items()} for each in (expected, state))
    wrong = [name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)]
    if wrong:
        raise UserError(f"{source} does not hold the weights of {backbone.name}: '{min(wrong)}' differs or is missing")
    return state


def _from_url(url: str) -> State:
    import torch

    return torch.hub.load_state_dict_from_url(
        url, map_location="cpu", progress=False, check_hash=True, weights_only=True
    )
