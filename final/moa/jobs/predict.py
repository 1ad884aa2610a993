"""Predictions of single models: written from trained weights, in this process or by the inference scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from moa.blending.blend import BlendSpec, load_blend
from moa.blending.catalogue import blend_path
from moa.blending.submission import write_test_submission
from moa.data.dataset import load_test
from moa.data.folders import check_data_folder
from moa.data.input_tables import has_table
from moa.data.schema import TEST_FEATURES
from moa.data.stored_tables import write_table
from moa.environment import FINAL
from moa.errors import UserError
from moa.files import ensure_writable, replacing
from moa.learners.runtime import Runtime
from moa.progress import console
from moa.weights.layout import WeightsFolder
from moa.weights.trained import open_trained


def predict_model(
    name: str, data: Path, weights: Path, out: Path, runtime: Runtime | None = None, raw: bool = False
) -> Path:
    """Write ``OUT/NAME/{oof.parquet, test.parquet, submission.csv}`` from trained weights, and return that folder.

    Of the data only the test features are read, and the sample submission where there is one. Where an assay of one's
    own has no test features, the OOF predictions are all that is written; ``Metadata_`` columns of the test features
    are copied to ``samples.csv``. The device and precision of ``runtime`` are those of the test predictions; OOF
    predictions are always those of training. Both are calibrated outside of the competition, unless ``raw``.
    """
    trained = open_trained(name, weights, runtime)
    folder = out / name
    ensure_writable(folder)
    if not trained.schema.strict and not has_table(data, TEST_FEATURES):
        write_table(folder / "oof.parquet", trained.oof() if raw else trained.calibrated_oof())
        console.print(f"[yellow]{data}: has no {TEST_FEATURES}, so only OOF predictions are written[/yellow]")
        return folder
    check_data_folder(data)
    features, sample, metadata = load_test(data, trained.targets, trained.schema)
    test = trained.predict(features, raw=raw)
    write_table(folder / "oof.parquet", trained.oof() if raw else trained.calibrated_oof())
    if metadata.shape[1]:
        described = features[list(trained.schema.control_columns)].join(metadata)
        with replacing(folder / "samples.csv") as temporary:
            described.to_csv(temporary)
    write_table(folder / "test.parquet", test)
    write_test_submission(test, features, folder / "submission.csv", sample, trained.schema)
    return folder


def trained_members(spec: BlendSpec, weights: Path) -> tuple[list[str], list[str]]:
    """The members of a blend with a weight that are trained, and those that are not.

    Raises:
        UserError: none is trained.
    """
    names = [member.model for member in spec.members if member.weight > 0]
    trained = [name for name in names if WeightsFolder(weights).has(name)]
    if not trained:
        raise UserError(f"{weights}: holds no trained weights of any member of {spec.name} ({', '.join(names)})")
    return trained, [name for name in names if name not in trained]


def run_members(blend: str, data: Path, weights: Path, out: Path, device: str = "auto") -> list[str]:
    """Run the inference script of each trained member of a blend with a weight, each in a new process, as on Kaggle.

    A process frees all its memory, the GPU's too, before the next one starts. Its output is printed as it comes.

    Returns:
        the members that are not trained, and so were not run.

    Raises:
        UserError: a script failed; its messages are printed above.
    """
    # A notebook's kernel asks for colours, with which the scripts would draw moving bars into its output.
    quiet = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "CLICOLOR_FORCE")}
    absent, folder = [], WeightsFolder(weights)
    for name in (member.model for member in load_blend(blend_path(blend)).members if member.weight > 0):
        if not folder.has(name):
            absent.append(name)
            continue
        script = next(FINAL.glob(f"*/Inference/{name}.py"), None)
        if script is None:
            raise UserError(f"{FINAL}: holds no */Inference/{name}.py; run `moa predict {name}` instead")
        options = {"--data": data, "--weights": weights, "--out": out, "--device": device}
        command = [sys.executable, str(script), *(str(word) for option in options.items() for word in option)]
        started = perf_counter()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=quiet
        ) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
        if process.returncode:
            raise UserError(f"{script.name} failed with status {process.returncode}; its messages are above")
        print(f"{name}: {perf_counter() - started:.0f} s", flush=True)
    return absent
