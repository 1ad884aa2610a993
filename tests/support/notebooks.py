"""Execute notebooks."""

import json

import papermill

from support.forked import kernels


def run(path, folder, **parameters):
    """Execute a notebook; returns the outputs of its code cells as text and their types."""
    options = {"cwd": path.parent, "progress_bar": False, "parameters": parameters}
    with kernels():
        papermill.execute_notebook(path, folder / "out.ipynb", **options)
    cells = json.loads((folder / "out.ipynb").read_text())["cells"]
    outputs = [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    lines = [[*output.get("text", []), *output.get("data", {}).get("text/plain", [])] for output in outputs]
    return "".join(map("".join, lines)), [kind for output in outputs for kind in output.get("data", {})]
