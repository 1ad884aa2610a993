"""Execute notebooks."""

import json

import papermill

from support.forked import kernels


def run(path, folder, **parameters):
    """Execute a notebook in a process that has imported much already; returns as ``execute``."""
    with kernels():
        return execute(path, folder, path.parent, **parameters)


def execute(path, folder, cwd, **parameters):
    """Execute a notebook; returns the outputs of its code cells as text and their types."""
    papermill.execute_notebook(path, folder / "out.ipynb", cwd=cwd, progress_bar=False, parameters=parameters)
    cells = json.loads((folder / "out.ipynb").read_text())["cells"]
    outputs = [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    lines = [[*output.get("text", []), *output.get("data", {}).get("text/plain", [])] for output in outputs]
    return "".join(map("".join, lines)), [kind for output in outputs for kind in output.get("data", {})]
