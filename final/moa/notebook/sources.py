"""The package's own source, to be read in a notebook: it is shown as it runs, and never copied."""

from __future__ import annotations

import functools
import inspect
import sys
from dataclasses import dataclass
from typing import Any

from moa.models.base import Recipe, Stage


@dataclass(frozen=True)
class ShownSource:
    """A text that a notebook shows as coloured Python."""

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer

        # Colours are written into the elements, and the font is named: pages made of a notebook have styles of their
        # own, under which code would be set in the font of text.
        form = HtmlFormatter(noclasses=True, nobackground=True, prestyles="font-family: monospace; font-size: 12px")
        return highlight(self.text, PythonLexer(), form)


def source(*things: Any) -> ShownSource:
    """The source of functions and classes, coloured as code; a comment says which file each is in."""
    parts = []
    for thing in dict.fromkeys(map(_plain, things)):
        try:
            lines, start = inspect.getsourcelines(thing)
        except (OSError, TypeError):  # a class that was defined in a notebook has no file
            parts.append(f"# {thing.__qualname__}: defined in this notebook")
            continue
        parts.append(f"# {thing.__module__}, line {start}\n{''.join(lines)}")
    return ShownSource("\n\n".join(parts))


def recipe_source(model: Recipe) -> ShownSource:
    """The recipe of a model: its settings, the steps of its features, and its stages."""
    stages = _plain(model.stages)
    module = sys.modules[stages.__module__]
    names = ("features", "unit_features", "nonscored_features", "tabnet_features", "predictions_alone")
    steps = [getattr(module, name) for name in names if hasattr(module, name)]
    return source(type(model.config), *steps, stages)


def learner_parts(stage: Stage) -> list[Any]:
    """What is trained in a stage: the functions and classes of its network, for `source`."""
    from moa.learners.deepinsight.learner import CNNLearner
    from moa.learners.perceptron.learner import MLPLearner
    from moa.learners.two_heads.learner import TwoHeadsLearner

    learner = stage.learner
    if type(learner) is MLPLearner:
        from moa.learners.perceptron.network import BLOCKS

        return [BLOCKS[learner.block]]
    if type(learner) is TwoHeadsLearner:
        from moa.learners.two_heads import network

        return [network.TwoHeads, network.Dense]
    if type(learner) is CNNLearner:
        from moa.learners.deepinsight import backbones

        return [type(learner.backbone), backbones.build_network]
    return [type(learner)]


def _plain(thing: Any) -> Any:
    while isinstance(thing, functools.partial):
        thing = thing.func
    return inspect.unwrap(thing) if callable(thing) else thing
