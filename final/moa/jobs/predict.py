"""The main jobs as functions, for the command line, the notebooks and the inference scripts alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from moa.blending.blend import load_blend
from moa.blending.catalogue import blend_path
from moa.blending.submission import _write_submission
from moa.data.dataset import load_test
from moa.data.table_files import write_table
from moa.environment import FINAL
from moa.errors import UserError
from moa.training.runner import open_runner


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


def _trained(name: str, weights: Path) -> bool:
    return (weights / name / "manifest.json").exists()


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
