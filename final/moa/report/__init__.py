"""The report: one self-contained HTML page on the models, their blends, and the published figures beside them."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

from moa.files import replacing
from moa.report.inputs import collect
from moa.report.sections import SECTIONS


def write_report(data: Path, weights: Path, predictions: Path, out: Path) -> Path:
    """Write ``OUT/report.html``.

    Args:
        data: folder of the competition files.
        weights: folder of trained weights, for learning curves and costs.
        predictions: folder written by ``moa predict``.
        out: folder for the page.

    Returns:
        the page's path.

    Raises:
        UserError: there is nothing to report on.
    """
    inputs = collect(Path(data), Path(weights), Path(predictions))
    sections = [section for make in SECTIONS if (section := make(inputs)) is not None]
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape())
    page = environment.get_template("page.html").render(inputs=inputs, sections=sections)
    path = Path(out) / "report.html"
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path
