"""The main jobs as functions, for the command line, the notebooks and the inference scripts alike."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd

from moa.blending.blend import BlendSpec, apply_blend, load_blend, submission, write_submission
from moa.blending.search import Oof, SearchResult, search
from moa.data.dataset import Dataset, load_dataset, load_test
from moa.data.schema import TRAIN_DRUG
from moa.data.table_files import read_table, write_table
from moa.errors import UserError
from moa.learners.deepinsight.learner import CNNLearner
from moa.learners.runtime import Runtime
from moa.metrics import competition_log_loss, log_loss, prevalence_baseline
from moa.models.base import ModelConfig, Recipe
from moa.models.registry import recipe, recipes
from moa.training.runner import Runner, Selection, needs, open_runner, pick_device

# The submissions' folders, beside the package in a checkout.
FINAL = Path(__file__).resolve().parents[1]
BLENDS = {"best-lb": FINAL / "Best LB" / "blend.yaml", "best-cv": FINAL / "Best CV" / "blend.yaml"}


def blend_path(name: str) -> Path:
    """The YAML file of a blend, by its name or its path.

    Raises:
        UserError: neither.
    """
    path = BLENDS.get(name, Path(name))
    if not path.is_file():
        raise UserError(
            f"blend '{name}' is unknown; choose one of {', '.join(BLENDS)}, or give the path of a YAML file"
        )
    return path


def plate_blend(name: str) -> BlendSpec:
    """A blend by its name or path, or a single model as a blend of one."""
    if name in recipes():
        return BlendSpec(name=name, title=recipe(name).title, members=[{"model": name, "weight": 1.0}])
    return load_blend(blend_path(name))


def expand_models(names: Iterable[str]) -> list[str]:
    """Model names with blends and "all" written out, each once, in order."""
    found: list[str] = []
    for name in names:
        if name == "all":
            found += recipes()
        elif name in BLENDS:
            found += [member.model for member in load_blend(blend_path(name)).members]
        else:
            found.append(recipe(name).name)
    return list(dict.fromkeys(found))


def train_models(
    models: list[Recipe],
    data: Path,
    weights: Path,
    profile: str = "kaggle",
    device: str = "auto",
    selection: Selection | None = None,
    overlay: dict | None = None,
    runtime: Runtime | None = None,
) -> list[dict[str, str]]:
    """Train several models on one data set; returns a row of scores each.

    Args:
        runtime: how CNNs are trained: devices, precision, logs (a folder a model below the one given).

    Raises:
        UserError: a runtime for a model that is no CNN, or one that does not fit the device.
    """
    configs = {model.name: run_by(runtime, model, model.configure(profile, overlay)) for model in models}
    if runtime is not None:
        runtime.check(pick_device(device))
    wanted = [needs(model, configs[model.name]) for model in models]
    dataset = load_dataset(data, **{file: any(need[file] for need in wanted) for file in ("drugs", "nonscored")})
    rows = []
    for model in models:
        runner = Runner(model, weights, configs[model.name], pick_device(device), profile)
        predictions = runner.train(dataset, selection)
        rows.append(score_row(model, dataset, predictions.oof if predictions else None))
    return rows


def run_by(runtime: Runtime | None, model: Recipe, config: ModelConfig) -> ModelConfig:
    """The configuration with its CNN run as asked; settings as written to a manifest are the same."""
    if runtime is None:
        return config
    learner = getattr(config, "learner", None)
    if not isinstance(learner, CNNLearner):
        raise UserError(f"{model.name} is no CNN and takes no options of CNN training; train it without them")
    if isinstance(runtime.tensorboard, Path):
        runtime = runtime.model_copy(update={"tensorboard": runtime.tensorboard / model.name})
    return config.model_copy(update={"learner": learner.model_copy(update={"runtime": runtime})})


def score_row(model: Recipe, data: Dataset, oof: pd.DataFrame | None) -> dict[str, str]:
    """Scores of an OOF table in words: log loss of the rows covered, and of the per-target prevalence on them.

    None stands for no OOF yet: earlier stages alone are trained.
    """
    if oof is None:
        scores = ("treated rows", "all rows", "prevalence")
        published = f"{model.published.cv:.5f}"
        return {"model": model.title, **dict.fromkeys(scores, "–"), "rows covered": "0%", "published CV": published}
    y = data.scored.loc[oof.index]
    treated = data.treated.loc[oof.index]
    y_treated, oof_treated = y[treated], oof[treated]
    baseline = prevalence_baseline(data.scored[data.treated], y_treated.index)
    covered = len(y_treated) / int(data.treated.sum())
    whole = f"{competition_log_loss(data.scored, oof, data.treated):.5f}" if covered == 1 else "–"
    return {
        "model": model.title,
        "treated rows": f"{log_loss(y_treated, oof_treated):.5f}",
        "all rows": whole,
        "prevalence": f"{log_loss(y_treated, baseline):.5f}",
        "rows covered": f"{covered:.0%}",
        "published CV": f"{model.published.cv:.5f}",
    }


def predict_model(
    name: str, data: Path, weights: Path, out: Path, device: str = "auto", precision: str | None = None
) -> Path:
    """Write ``OUT/NAME/{oof.parquet, test.parquet, submission.csv}`` from trained weights; returns the folder.

    Of the data only the test features are read, and the sample submission where there is one. ``precision`` is that of
    ``moa.training.runner.open_runner``; OOF predictions are those of training whatever it is.
    """
    runner = open_runner(name, weights, device, precision)
    features, sample = load_test(data, runner.targets)
    folder = out / name
    test = runner.predict(features)
    write_table(folder / "oof.parquet", runner.oof())
    write_table(folder / "test.parquet", test)
    _write_submission(test, features, folder / "submission.csv", sample)
    return folder


def _write_submission(
    predictions: pd.DataFrame, features: pd.DataFrame, path: Path, sample: pd.DataFrame | None
) -> None:
    """Write a submission in the order of the sample submission, or in that of the test file where there is none."""
    table = submission(predictions, features, list(predictions.columns))
    write_submission(table if sample is None else table.loc[sample.index, list(sample.columns)], path, sample)


def search_weights(
    names: list[str], data: Path, predictions: Path, weights: Path, whole_drugs: bool | None = None, **options: Any
) -> tuple[SearchResult, dict[str, str], list[str]]:
    """Search blend weights on the OOF predictions of models and of members of blends.

    Args:
        names: models, blends or "all", as ``expand_models`` takes them.
        data: folder of the competition files.
        predictions: folder of ``NAME/oof.parquet``; a model that has none there is read from its trained units.
        weights: folder of trained weights, whose manifests say which folds were used; a model that is not there is
            taken to have its published folds.
        whole_drugs: keep drugs whole in the nested folds and in the bootstrap; None: where train_drug.csv is there.
        options: further arguments of ``moa.blending.search.search``.

    Returns:
        what was found, the scheme of each member's folds, and the members of blends that have no OOF predictions.

    Raises:
        UserError: a model asked for by its own name has no predictions, or the search refuses them.
    """
    if whole_drugs is None:
        whole_drugs = (data / TRAIN_DRUG).exists()
    tables, absent = {}, []
    members = expand_models(names)
    for name in members:
        path = predictions / name / "oof.parquet"
        if path.exists() or (name in names and not _trained(name, weights)):
            tables[name] = read_table(path)
        elif _trained(name, weights):
            tables[name] = open_runner(name, weights).oof()
        else:
            absent.append(name)
    if len(tables) < 2:
        raise UserError(
            f"{predictions}: holds OOF predictions of {', '.join(tables) or 'no model asked for'}; a blend needs at "
            f"least two, so run `moa predict {' '.join(names)}` first"
        )
    dataset = load_dataset(data, drugs=whole_drugs or options.get("mixed") == "comparable", nonscored=False)
    schemes = {name: _scheme(name, weights) for name in tables}
    oofs = [Oof(name, table, schemes[name], recipe(name).rows) for name, table in tables.items()]
    found = search(oofs, dataset.scored, dataset.treated, groups=dataset.drugs, **options)
    return found, schemes, absent


def _trained(name: str, weights: Path) -> bool:
    return (weights / name / "manifest.json").exists()


def _scheme(name: str, weights: Path) -> str:
    """The folds behind a model's OOF, as in "drug-aware-5"."""
    model = recipe(name)
    return Runner(model, weights, None if _trained(name, weights) else model.config).last.folds.label


def run_members(blend: str, data: Path, weights: Path, out: Path, device: str = "auto") -> list[str]:
    """Run the inference script of each trained member of a blend, each as a process of its own, as on Kaggle.

    A process gives back all its memory, the GPU's too, before the next one starts. What it says is printed as it comes.

    Returns:
        the members that are not trained, and so were not run.

    Raises:
        UserError: a script failed; its own words are printed above.
    """
    # A notebook's kernel asks for colours, which would make the scripts draw moving bars into its output.
    quiet = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "CLICOLOR_FORCE")}
    absent = []
    for name in (member.model for member in load_blend(blend_path(blend)).members):
        if not _trained(name, weights):
            absent.append(name)
            continue
        script = next(FINAL.glob(f"*/Inference/{name}.py"), None)
        if script is None:
            raise UserError(f"{FINAL}: holds no */Inference/{name}.py; run `moa predict {name}` instead")
        folders = ["--data", data, "--weights", weights, "--out", out, "--device", device]
        command = [sys.executable, script, *folders]
        started = perf_counter()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=quiet
        ) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
        if process.returncode:
            raise UserError(f"{script.name} failed with status {process.returncode}; its own words are above")
        print(f"{name}: {perf_counter() - started:.0f} s", flush=True)
    return absent


def blend_submission(
    blend: str, data: Path, predictions: Path, out: Path, path: Path | None = None
) -> tuple[Path, str]:
    """Mix ``test.parquet`` of a blend's members into ``OUT/submission-NAME.csv``, or into the file ``path``.

    Returns:
        the path, and a note where members are missing and the others' weights were scaled up.
    """
    spec = load_blend(blend_path(blend))
    present = {
        member.model: read_table(predictions / member.model / "test.parquet")
        for member in spec.members
        if (predictions / member.model / "test.parquet").exists()
    }
    if not present:
        raise UserError(
            f"{predictions}: holds predictions of no member of {spec.name}; run `moa predict {spec.name}` first"
        )
    absent = [member.model for member in spec.members if member.model not in present]
    mixed = apply_blend(spec, present, missing="renormalise" if absent else "error")
    path = path or out / f"submission-{spec.name}.csv"
    features, sample = load_test(data, list(mixed.columns))
    _write_submission(mixed, features, path, sample)
    note = f"{spec.name}: without {', '.join(absent)}; the other members' weights were scaled up to 1" if absent else ""
    return path, note
