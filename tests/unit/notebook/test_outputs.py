"""Outputs that are kept in the notebooks of the repository."""

import base64
import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from moa.errors import UserError
from moa.notebook import outputs
from moa.notebook.outputs import KEY, digest, dumps, keep_outputs, with_outputs_of


def code(number, source, *found):
    return {
        "cell_type": "code",
        "id": f"cell-{number}",
        "metadata": {},
        "execution_count": None,
        "source": [source],
        "outputs": list(found),
    }


def notebook(*cells):
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def picture():
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    made = BytesIO()
    Image.fromarray(noise).save(made, "PNG")
    return base64.b64encode(made.getvalue()).decode()


def result(**data):
    return {"output_type": "execute_result", "execution_count": 9, "metadata": {}, "data": data}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "one.ipynb"
    text = {"cell_type": "markdown", "id": "cell-0", "metadata": {}, "source": ["words"]}
    path.write_text(dumps(notebook(text, code(1, "print(1)"), code(2, "draw()"))))
    return path


def executed(second="draw()"):
    printed = {"output_type": "stream", "name": "stdout", "text": "data: /somewhere/data/rows\n"}
    warned = {"output_type": "stream", "name": "stderr", "text": "a warning of /somewhere"}
    bar = {"output_type": "display_data", "metadata": {}, "data": {"text/plain": "3/4"}}
    injected = code(7, "profile = 1")
    drawn = result(**{"image/png": picture(), "text/plain": "<Figure>"})
    return notebook(injected, code(1, "print(1)", printed, warned, bar), code(2, second, drawn))


def test_outputs_are_kept_small_and_name_no_folder_of_this_machine(path):
    keep_outputs(path, executed(), {"/somewhere": "there", "/somewhere/data": "output/demo/data"})
    kept = json.loads(path.read_text())
    _, first, second = kept["cells"]
    assert [each["text"] for each in first["outputs"]] == [["data: output/demo/data/rows\n"]], "no warnings, no bars"
    (drawn,) = second["outputs"]
    assert (first["execution_count"], second["execution_count"], drawn["execution_count"]) == (1, 2, 2)
    assert len(drawn["data"]["image/png"]) < len(picture()) / 2
    shown = Image.open(BytesIO(base64.b64decode(drawn["data"]["image/png"])))
    assert shown.size == (80, 60) and shown.mode == "P"
    assert kept["metadata"][KEY] == digest(kept["cells"])


def test_outputs_stay_while_no_cell_of_code_changes(path):
    plain = json.loads(path.read_text())
    keep_outputs(path, executed(), {})
    kept = json.loads(path.read_text())
    other_words = json.loads(json.dumps(plain))
    other_words["cells"][0]["source"] = ["other words"]
    again = with_outputs_of(other_words, kept)
    assert again["cells"][1:] == kept["cells"][1:] and again["cells"][0]["source"] == ["other words"]
    other_code = json.loads(json.dumps(plain))
    other_code["cells"][2]["source"] = ["draw(2)"]
    assert with_outputs_of(other_code, kept) == other_code, "those outputs would be of other cells"


def test_outputs_of_other_cells_and_large_ones_are_refused(path, monkeypatch):
    before = path.read_text()
    with pytest.raises(UserError, match="its cells were changed while it was executed"):
        keep_outputs(path, executed("draw(2)"), {})
    monkeypatch.setattr(outputs, "MOST", 1000)
    with pytest.raises(UserError, match="bytes with its outputs, more than 1,000; draw less"):
        keep_outputs(path, executed(), {})
    assert path.read_text() == before
