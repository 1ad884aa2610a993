"""The claims of the write-up that an ablation tests, as data: what is left out or changed, in which model.

Nothing is trained here; ``moa.jobs.ablation`` does that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moa.errors import UserError


@dataclass(frozen=True)
class Arm:
    """One side of a comparison.

    Attributes:
        label: its name in the table.
        model: name of the recipe.
        overlay: fields of the recipe's configuration that are changed, nested.
        stage: stage whose OOF is scored; None: the last.
    """

    label: str
    model: str
    overlay: Mapping[str, Any] = field(default_factory=dict)
    stage: str | None = None

    @property
    def name(self) -> str:
        """Folder of the weights, such as "two-heads+phase1.smoothing=0"; without changes, the model's name."""
        changes = ",".join(f"{path}={value}" for path, value in _leaves(self.overlay))
        return f"{self.model}+{changes}" if changes else self.model


def _leaves(overlay: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in overlay.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


@dataclass(frozen=True)
class Ablation:
    """A claim and the comparisons that test it; the first arm of each is the base: the solution as published.

    Attributes:
        name: its name on the command line.
        claim: one sentence.
        comparisons: arms by comparison.
    """

    name: str
    claim: str
    comparisons: tuple[tuple[Arm, ...], ...]


_THREE, _TABNET, _SIMPLE = "three-stage-nn-5fold", "two-stage-nn-tabnet", "simple-nn-old-cv"
_V1, _V2 = "two-heads", "two-heads-v2"
_NO_META = {"meta_features": False}
_NO_UMAP = {"gene_umap": 0, "cell_umap": 0}

ABLATIONS = {
    ablation.name: ablation
    for ablation in (
        Ablation(
            "stages",
            "each stage of the 3-stage NN adds: nonscored predictions as inputs of stage 2, and stage 3 after it",
            (
                (
                    Arm("stage 3, the whole model", _THREE),
                    Arm("stage 2", _THREE, stage="stage2"),
                    Arm("stage 2 without stage 1", _THREE, _NO_META, stage="stage2"),
                ),
            ),
        ),
        Ablation(
            "meta-features",
            "predictions of the nonscored targets help as inputs",
            tuple(
                (Arm("with nonscored predictions", model), Arm("without", model, _NO_META))
                for model in (_THREE, _TABNET)
            ),
        ),
        Ablation(
            "umap",
            "UMAP's coordinates help beside the factors",
            (
                (Arm("with UMAP", _THREE), Arm("without", _THREE, _NO_UMAP)),
                (Arm("with UMAP in stage 1", _TABNET), Arm("without", _TABNET, {"nonscored": _NO_UMAP})),
            ),
        ),
        Ablation(
            "smoothing",
            "label smoothing in the training loss helps",
            (
                (Arm("smoothed", _SIMPLE), Arm("not smoothed", _SIMPLE, {"learner": {"smoothing": 0}})),
                (Arm("smoothed", _TABNET), Arm("not smoothed", _TABNET, {"tabnet": {"learner": {"smoothing": 0}}})),
                (
                    Arm("smoothed", _V1),
                    Arm("not smoothed", _V1, {"phase1": {"smoothing": 0}, "phase2": {"smoothing": 0}}),
                ),
            ),
        ),
        Ablation(
            "versions",
            "V2 of the two-heads, with conditions, other components and smaller batches, is better than V1",
            ((Arm("V2", _V2), Arm("V1", _V1)),),
        ),
    )
}


def ablation(name: str) -> Ablation:
    """The ablation of that name.

    Raises:
        UserError: there is none.
    """
    if name not in ABLATIONS:
        raise UserError(f"ablation '{name}' is unknown; choose one of: {', '.join(ABLATIONS)}")
    return ABLATIONS[name]


#: What the write-up says of each model, in our words, and the ablation that tests it; None: none does.
WRITE_UP: dict[str, tuple[tuple[str, str | None], ...]] = {
    "simple-nn-old-cv": (
        ("gaussian ranks, factors, clusters and row statistics are enough for a strong single network", None),
        ("a little label smoothing (0.001) in the training loss helps", "smoothing"),
        ("folds by rows score better than folds by drugs, because drugs are seen in training", None),
    ),
    "simple-nn-new-cv": (
        ("folds that hold out whole drugs tell how good a model is on new drugs", None),
        ("the model is worth its place in the blend by being trained on other folds", None),
    ),
    "three-stage-nn-5fold": (
        ("predictions of the nonscored targets help as inputs", "meta-features"),
        (
            "a third stage learns which targets occur together; in the winners' own runs it gains nothing in CV",
            "stages",
        ),
        ("UMAP's coordinates help beside the factors", "umap"),
        ("it is the best single model, and so has the largest weight in both blends", None),
    ),
    "three-stage-nn-10fold": (
        ("ten folds are better than five: each model is trained on more rows", None),
        ("its OOF predictions are the best of all, and so SLSQP gives it the largest weight", None),
    ),
    "two-stage-nn-tabnet": (
        ("predictions of the nonscored targets help as inputs of TabNet", "meta-features"),
        ("UMAP's coordinates help in the first stage", "umap"),
        ("label smoothing helps, in training and to stop it", "smoothing"),
        ("TabNet errs elsewhere than the other models, which pays in the blend", None),
    ),
    "two-heads": (
        ("training on the nonscored targets first helps", None),
        ("label smoothing (0.0005) helps", "smoothing"),
        ("alternating frozen and unfrozen epochs improve the score; as published these see the validation rows", None),
    ),
    "two-heads-v2": (
        ("with conditions, other components and smaller batches it is better than V1", "versions"),
        ("it is used by Best CV alone", None),
    ),
    "deepinsight-efficientnet-b3": (
        ("images of features let networks trained on photographs be used on tables", None),
        ("swap noise keeps the network from overfitting", None),
        ("it agrees least with the networks on tables, and gains most for the blend", None),
    ),
    "deepinsight-resnest-v1": (
        ("a ResNeSt needs smaller images than the EfficientNet and scores better in CV", None),
        ("it is used by Best CV alone", None),
    ),
    "deepinsight-resnest-v2": (
        ("dropout before the head improves on V1", None),
        ("it agrees least of all with the other models (0.70 in the mean)", None),
        ("without the two CNNs the first-place blend falls from 0.01599 to 0.01607", None),
    ),
}


def claims_of(model: str) -> tuple[tuple[str, str | None], ...]:
    """What the write-up says of a model, and the name of the ablation that tests it; nothing for other models."""
    return WRITE_UP.get(model, ())
