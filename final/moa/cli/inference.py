"""The command line of the inference scripts, one per model."""

from __future__ import annotations

import typer

from moa.cli.console import out, run
from moa.cli.options import DATA, OUT, WEIGHTS, DataDir, Device, Out, Weights


def inference_app(name: str) -> None:
    """Run the inference script of a model: ``--data DIR --weights DIR --out DIR [--device D]``."""
    from moa.jobs.predict import predict_model
    from moa.learners.runtime import Runtime
    from moa.models.registry import recipe

    def infer(data: DataDir = DATA, weights: Weights = WEIGHTS, out_dir: Out = OUT, device: Device = "auto") -> None:
        out.print(f"wrote {predict_model(name, data, weights, out_dir, Runtime.of(device))}")

    infer.__doc__ = f"Predict with {recipe(name).title}: OOF, test predictions and submission.csv from trained weights."
    script = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    script.command()(infer)
    run(script)
