"""Outputs in the notebooks of the repository: of which cells they are, and how they are kept small."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from moa.errors import UserError
from moa.files import replacing

#: Where a notebook says of which cells its outputs are.
KEY = "moa_outputs_of"
#: Bytes of one notebook, and of all.
MOST, MOST_OF_ALL = 500_000, 5_000_000
_COLOURS = 48
#: Shown as pictures or tables elsewhere in the same output.
_DROPPED = ("application/vnd.jupyter.widget-view+json",)


def digest(cells: Sequence[Mapping[str, Any]]) -> str:
    """A hash of the code of a notebook's cells."""
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()[:16]


def dumps(notebook: Mapping[str, Any]) -> str:
    """The text of a notebook's file."""
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def with_outputs_of(notebook: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """A notebook with the outputs of another one, where that has outputs of the same cells; else as it is."""
    if other["metadata"].get(KEY) != digest(notebook["cells"]):
        return notebook
    outputs = {cell["id"]: cell for cell in other["cells"] if cell["cell_type"] == "code"}
    cells = [
        cell | {name: outputs[cell["id"]][name] for name in ("execution_count", "outputs")}
        if cell["id"] in outputs
        else cell
        for cell in notebook["cells"]
    ]
    return notebook | {"cells": cells, "metadata": notebook["metadata"] | {KEY: other["metadata"][KEY]}}


def keep_outputs(path: Path, executed: Mapping[str, Any], places: Mapping[str, str]) -> None:
    """Write the outputs of an executed copy into a notebook.

    Args:
        path: the notebook.
        executed: the copy, which may have further cells.
        places: what is written in the place of the names of folders of this machine.

    Raises:
        UserError: the outputs are of other cells, or too large.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    found = {cell.get("id"): cell for cell in executed["cells"] if cell["cell_type"] == "code"}
    if digest(notebook["cells"]) != digest([found.get(cell["id"], cell) for cell in notebook["cells"]]):
        raise UserError(f"{path}: its cells were changed while it was executed; execute it again")
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and cell["id"] in found:
            count += 1
            outputs = (_small(output, places) for output in found[cell["id"]]["outputs"])
            cell |= {"execution_count": count, "outputs": [output for output in outputs if output is not None]}
            for output in cell["outputs"]:
                if "execution_count" in output:
                    output["execution_count"] = count
    notebook["metadata"][KEY] = digest(notebook["cells"])
    text = dumps(notebook)
    if len(text.encode()) > MOST:
        raise UserError(f"{path}: {len(text.encode()):,} bytes with its outputs, more than {MOST:,}; draw less")
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _small(output: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any] | None:
    """An output without progress bars and names of folders, its pictures in few colours; None: nothing is left."""
    made = json.loads(json.dumps(output))
    if made["output_type"] == "stream":
        if made["name"] == "stderr":
            return None
        made["text"] = _lines(_placed("".join(made["text"]), places))
        return made if "".join(made["text"]).strip() else None
    data = {kind: value for kind, value in made.get("data", {}).items() if kind not in _DROPPED}
    if made["output_type"] == "display_data" and "image/png" not in data:
        return None  # a progress bar
    for kind, value in data.items():
        text = "".join(value) if isinstance(value, list) else value
        if kind == "image/png":
            data[kind] = _fewer_colours(text)
        elif isinstance(text, str):
            data[kind] = _lines(_placed(text, places))
    return made | {"data": data}


def _placed(text: str, places: Mapping[str, str]) -> str:
    for place, name in sorted(places.items(), key=lambda each: -len(each[0])):
        text = text.replace(place, name)
    return text


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _fewer_colours(picture: str) -> str:
    """A picture, in base64, in few colours."""
    from PIL import Image

    image = Image.open(BytesIO(base64.b64decode(picture))).convert("RGB")
    made = BytesIO()
    image.quantize(_COLOURS, dither=Image.Dither.NONE).save(made, "PNG", optimize=True)
    return base64.b64encode(made.getvalue()).decode() + "\n"
