"""The folders to push to Kaggle: data sets to attach, and one notebook per kernel, run without internet.

    OUT/datasets/moa-code         this package, the notebooks' scripts and the blends
    OUT/datasets/moa-wheels       packages that Kaggle's image lacks
    OUT/datasets/moa-pretrained   ImageNet weights of the CNNs
    OUT/datasets/moa-weights      trained weights
    OUT/kernels/NAME              a notebook with its parameters, and its kernel-metadata.json
    OUT/push.json                 which of them are needed: with trained weights, no training kernel is

How the limits of a session are kept (12 hours, a GPU with 16 GB, 13 to 30 GB of memory, 2 to 4 cores): the CNNs, which
took the winners 12 to 25 hours per model on one GPU, get one kernel per fold. Every other model is one kernel; in the
competition each of them fitted into a session of 9 hours. Units that an earlier run finished are reused if its output
is attached. At the published batch sizes, in 16 bit, a CNN needs 10.5 GiB (ResNeSt) or 7.5 GiB (EfficientNet) for its
backward pass, counted tensor by tensor; networks that are trained at the same time fill only the free memory of the
GPU. Images are rendered one batch at a time on the device of the network, the largest table has 23,814 × 875 numbers,
and there are no worker processes that would copy it. Members of a blend run one after another, each in its own process.

The formats follow the kaggle client's documentation (kernel and data set metadata).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import nbformat
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from moa.blending.blend import load_blend
from moa.blending.catalogue import BLENDS
from moa.data.assay import COMPETITION
from moa.data.download import SLUG
from moa.environment import FINAL
from moa.errors import UserError
from moa.files import replacing, write_json
from moa.kaggle.contents import Contents
from moa.kaggle.options import PackageOptions
from moa.kaggle.session import ADDITIONS, PRETRAINED_FILES, pip
from moa.learners.deepinsight.learner import CNNLearner
from moa.models.registry import recipes
from moa.weights.layout import WeightsFolder
from moa.weights.merge import link_or_copy

#: Platform tags of wheels that run there.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux2014_x86_64")
#: Kaggle's name for two T4. Its torch has no instructions for the P100 (compute capability 6.0), which is also retired.
GPU = "NvidiaTeslaT4"
LICENSE_NAME = "apache-2.0"
_PRETRAINED, _WEIGHTS = "moa-pretrained", "moa-weights"
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NOT_CODE = shutil.ignore_patterns("__pycache__", "*.pyc", ".ipynb_checkpoints", "*.ipynb", ".*")


@dataclass(frozen=True)
class Kernel:
    """One notebook to run on Kaggle."""

    title: str  # at most 50 characters
    notebook: Path  # in this repository
    gpu: bool  # whether it needs a GPU
    datasets: tuple[str, ...]  # slugs of the packed data sets that it reads
    kernels: tuple[str, ...] = ()  # slugs of the kernels whose output it reads
    parameters: Mapping[str, Any] | None = None  # values that replace those of the notebook's parameters cell
    makes_submission: bool = False  # whether it writes submission.csv

    @property
    def slug(self) -> str:
        """Last part of the notebook's address: the title in lower case, with hyphens."""
        return self.title.lower().replace(" ", "-")

    def metadata(self, user: str) -> dict[str, Any]:
        """The contents of kernel-metadata.json."""
        return {
            "id": f"{user}/{_checked(self.slug, 5)}",
            "title": self.title,
            "code_file": "notebook.ipynb",
            "language": "python",
            "kernel_type": "notebook",
            "is_private": True,
            "enable_gpu": self.gpu,
            "enable_tpu": False,
            **({"machine_shape": GPU} if self.gpu else {}),
            "enable_internet": False,
            "competition_sources": [SLUG],
            "dataset_sources": [f"{user}/{_checked(slug, 6)}" for slug in self.datasets],
            "kernel_sources": [f"{user}/{_checked(slug, 5)}" for slug in self.kernels],
            "model_sources": [],
        }


@dataclass(frozen=True)
class Packed:
    """What was written.

    Attributes:
        commands: of Kaggle's client, which push what is needed, in order.
        untrained: models whose training kernels are not pushed, because the ImageNet weights are not packed.
    """

    commands: list[str]
    untrained: list[str]


def training_kernels(profile: str = "kaggle") -> dict[str, list[Kernel]]:
    """The kernels that train each model: one per fold for a CNN, else one."""
    found = {}
    for name, model in recipes().items():
        notebook = next(FINAL.glob(f"*/Training/{name}.ipynb"), None)
        if notebook is None:
            continue
        last = model.stages(model.configure(profile), COMPETITION)[-1]
        is_cnn = isinstance(last.learner, CNNLearner)
        datasets = ("moa-code", "moa-wheels", *([_PRETRAINED] if is_cnn else []))
        folds = range(last.folds.n_splits) if is_cnn else [None]
        found[name] = [
            Kernel(
                f"moa train {name}" + ("" if fold is None else f" fold {fold}"),
                notebook,
                True,
                datasets,
                parameters=_parameters(profile) | ({} if fold is None else {"fold": fold}),
            )
            for fold in folds
        ]
    return found


def submission_kernels(profile: str = "kaggle", training: Mapping[str, list[Kernel]] | None = None) -> list[Kernel]:
    """The kernels of both submissions and of the weight search.

    They read the outputs of the ``training`` kernels of their members; None: the data set of trained weights.
    """
    found = []
    for name, notebook, gpu in (
        ("best-lb", FINAL / "Best LB" / "final-best-lb.ipynb", True),
        ("best-cv", FINAL / "Best CV" / "final-best-cv.ipynb", True),
        ("best-cv", FINAL / "Best CV" / "blend-search.ipynb", False),
    ):
        members = [member.model for member in load_blend(BLENDS[name]).members]
        outputs = [kernel.slug for member in members for kernel in (training or {}).get(member, [])]
        found.append(
            Kernel(
                f"moa {notebook.stem.replace('-', ' ')}",
                notebook,
                gpu,
                ("moa-code", "moa-wheels", *([_WEIGHTS] if training is None else [])),
                tuple(outputs),
                _parameters(profile),
                makes_submission=notebook.stem.startswith("final-"),
            )
        )
    return found


def _parameters(profile: str) -> dict[str, Any]:
    """Values for a notebook's parameters; the published settings are its own defaults."""
    return {} if profile == "kaggle" else {"profile": profile}


def package(out: Path, options: PackageOptions) -> Packed:
    """Write the folders; the results of an earlier call are replaced.

    All kernels are written. Those that are pushed: with trained weights, the submissions and the search; without, the
    training kernels too, but for those of the CNNs where the ImageNet weights are not packed.

    Raises:
        UserError: the user name is invalid, a folder lacks what it should hold, or pip has no wheel for that Python.
    """
    user, pretrained = options.user, options.pretrained
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", user):
        raise UserError(f"--user {user!r}: expected a Kaggle user name, as in the address of your profile")
    weights = None if options.weights is None else WeightsFolder.inside(options.weights)
    backbones = [path for pattern in PRETRAINED_FILES for path in pretrained.glob(pattern)] if pretrained else []
    if pretrained is not None and not backbones:
        raise UserError(f"{pretrained}: holds no *.pth or *.safetensors file of ImageNet weights")
    if not list(FINAL.glob("*/Training/*.ipynb")):
        raise UserError(f"{FINAL}: holds no notebooks; run this from a checkout of the repository")
    training = training_kernels(options.profile)
    possible = {name: group for name, group in training.items() if backbones or _PRETRAINED not in group[0].datasets}
    submissions = submission_kernels(options.profile, possible if weights is None else None)
    datasets, kernels = out / "datasets", out / "kernels"
    for folder in (datasets, kernels):
        shutil.rmtree(folder, ignore_errors=True)

    code = _dataset(datasets, user, "moa-code", "MoA winning solution: code")
    shutil.copytree(FINAL, code / "final", ignore=_NOT_CODE)
    for page in ("LICENSE", "README.md", "requirements.txt"):
        shutil.copyfile(FINAL.parent / page, code / page)
    if options.wheels:
        _download_wheels(_dataset(datasets, user, "moa-wheels", "MoA winning solution: wheels"), options.python)
    if weights is not None:
        folder = _dataset(datasets, user, _WEIGHTS, "MoA winning solution: weights") / "weights"
        for path in weights.files():  # not checkpoints of unfinished units, nor predictions
            copy = folder / path.relative_to(weights.path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, copy)
    if pretrained is not None:
        folder = _dataset(datasets, user, _PRETRAINED, "MoA winning solution: ImageNet weights")
        for path in backbones:
            link_or_copy(path.resolve(), folder / path.name)
    for kernel in (*(kernel for group in training.values() for kernel in group), *submissions):
        _write_kernel(kernels / kernel.slug, kernel, user)

    needed = [kernel for group in possible.values() for kernel in group if weights is None]
    attached = {slug for kernel in (*needed, *submissions) for slug in kernel.datasets}
    contents = Contents(
        datasets=tuple(folder.name for folder in sorted(datasets.iterdir()) if folder.name in attached),
        training=tuple(kernel.slug for kernel in needed),
        final=tuple(kernel.slug for kernel in submissions),
        submissions=tuple(kernel.slug for kernel in submissions if kernel.makes_submission),
    )
    contents.write(out)
    commands = [f"kaggle datasets create -p {datasets / name} --dir-mode zip" for name in contents.datasets]
    commands += [f"kaggle kernels push -p {kernels / name}" for name in contents.kernels]
    return Packed(commands, [name for name in training if weights is None and name not in possible])


def _dataset(datasets: Path, user: str, slug: str, title: str) -> Path:
    folder = datasets / slug
    folder.mkdir(parents=True)
    facts = {"id": f"{user}/{_checked(slug, 6)}", "title": title, "licenses": [{"name": LICENSE_NAME}]}
    write_json(folder / "dataset-metadata.json", facts)
    return folder


def _checked(slug: str, least: int) -> str:
    """The slug, if it follows Kaggle's rules."""
    if not _SLUG.fullmatch(slug) or not least <= len(slug) <= 50:
        raise UserError(
            f"'{slug}' is not a valid Kaggle name: {least} to 50 lower-case letters, digits and single hyphens"
        )
    return slug


def _write_kernel(folder: Path, kernel: Kernel, user: str) -> None:
    """Write the notebook, with a cell that sets its parameters, and its metadata."""
    folder.mkdir(parents=True)
    notebook = load_notebook_node(str(kernel.notebook))
    if kernel.parameters:
        notebook = parameterize_notebook(notebook, dict(kernel.parameters))
    for part in (notebook, *notebook.cells):  # papermill marks executed notebooks, and this one was not executed
        part.metadata.pop("papermill", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":  # outputs are of the demo, and not of the run to come
            cell.outputs, cell.execution_count = [], None
    with replacing(folder / "notebook.ipynb") as temporary:
        nbformat.write(notebook, str(temporary))
    write_json(folder / "kernel-metadata.json", kernel.metadata(user))


def _download_wheels(folder: Path, python: str) -> None:
    """Download the wheels of the missing packages for Kaggle's Python, in the versions installed here."""
    try:
        pins = [f"{name}=={version(name)}" for name in ADDITIONS]
    except PackageNotFoundError as error:
        raise UserError(f"{error.name} is not installed here; install requirements.txt first") from None
    problem = pip(
        "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
        "--implementation", "cp", "--python-version", python,
        *(word for platform in PLATFORMS for word in ("--platform", platform)), "--dest", str(folder), *pins,
    )  # fmt: skip
    if problem is not None:
        raise UserError(f"pip has no wheels for Python {python}: {problem}")
