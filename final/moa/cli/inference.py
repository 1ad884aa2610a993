"""The command line of the inference scripts, one per model."""

from __future__ import annotations

import typer

from moa.cli.console import out, run
from moa.cli.expansion import expanded
from moa.cli.options import Out, Place
from moa.jobs.options import DeviceOptions


def run_script(name: str) -> None:
    """Run the inference script of a model: ``--data DIR --weights DIR --out DIR [--device D]``."""
    from moa.jobs.predict import predict_model
    from moa.models.registry import recipe

    def infer(place: Place, options: DeviceOptions, out_dir: Out = None) -> None:
        where = place.find()
        path = predict_model(name, where.data, where.weights, out_dir or where.predictions, options.runtime)
        out.print(f"wrote {path}")

    infer.__doc__ = f"Predict with {recipe(name).title}: OOF, test predictions and submission.csv from trained weights."
    script = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    script.command()(expanded(infer))
    run(script)
