"""The command line of the inference scripts, one per model."""

from __future__ import annotations

import typer

from moa.cli.console import out, run
from moa.cli.options import DataDir, Device, Out, Profile, Weights, folders


def inference_app(name: str) -> None:
    """Run the inference script of a model: ``--data DIR --weights DIR --out DIR [--device D]``."""
    from moa.jobs.predict import predict_model
    from moa.learners.runtime import Runtime
    from moa.models.registry import recipe

    def infer(
        data: DataDir = None,
        weights: Weights = None,
        out_dir: Out = None,
        device: Device = "auto",
        profile: Profile = None,
    ) -> None:
        where, runtime = folders(profile, data), Runtime.of(device)
        path = predict_model(name, where.data, weights or where.weights, out_dir or where.predictions, runtime)
        out.print(f"wrote {path}")

    infer.__doc__ = f"Predict with {recipe(name).title}: OOF, test predictions and submission.csv from trained weights."
    script = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    script.command()(infer)
    run(script)
