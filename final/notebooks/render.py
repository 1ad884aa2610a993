"""Write the notebooks and the blends' README.md from their pages: ``python final/notebooks/render.py``.

A page is a Jinja template in Markdown: text, and code in fences. ``training.md`` is the page of all ten models,
``submission.md`` that of both blends, ``folder.md`` their README.md, ``head.md`` how each notebook begins.
``models/NAME.md`` holds what is said of one model or blend, in parts that begin with ``<!-- part -->``. Edit these and
run this file; a test fails while the notebooks are not what it writes. They hold no outputs.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

HERE = Path(__file__).resolve().parent
FINAL = HERE.parent
sys.path.insert(0, str(FINAL))

from moa.blending.blend import load_blend  # noqa: E402
from moa.blending.catalogue import BLENDS  # noqa: E402
from moa.blending.members import kind_of_folds  # noqa: E402
from moa.data.assay import COMPETITION  # noqa: E402
from moa.models.registry import recipe  # noqa: E402
from moa.models.remarks import footnotes  # noqa: E402

#: The family of a model by the package of its last stage's learner.
FAMILIES = {"perceptron": "mlp", "tabnet": "tabnet", "two_heads": "two-heads", "deepinsight": "cnn"}
#: A change of settings to begin with.
EXAMPLES = {
    "simple-nn": '{"learner": {"hidden": 512}}',
    "three-stage-nn": '{"stage2": {"hidden": 512}}',
    "two-stage-nn": '{"tabnet": {"learner": {"smoothing": 0}}}',
    "two-heads": '{"phase2": {"phase3": "train"}}',
    "deepinsight": '{"learner": {"swap_probability": 0}}',
}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebooks() -> Iterator[tuple[Path, str]]:
    """The file of each notebook, and what it should hold."""
    for path in sorted(FINAL.glob("*/Training/*.ipynb")):
        yield path, _notebook(_page("training.md", **_of_model(path)))
    for name, path in BLENDS.items():
        path = path.with_name(f"final-{name}.ipynb")
        yield path, _notebook(_page("submission.md", name=name, search=_search(name), **_parts(path.stem)))
    yield FINAL / "Best CV" / "blend-search.ipynb", _notebook(_page("blend-search.md"))
    yield FINAL / "eda.ipynb", _notebook(_page("eda.md"))


def readmes() -> Iterator[tuple[Path, str]]:
    """README.md of each blend's folder, and what it should hold."""
    for name, path in BLENDS.items():
        blend, folder = load_blend(path), path.parent
        models = [recipe(member.model) for member in blend.members]
        links = {model.name: _files(model.name, folder) for model in models}
        elsewhere = [model.title for model in models if links[model.name]["notebook"].startswith("..")]
        values = {
            "blend": blend,
            "members": [
                {"model": model, "weight": member.weight, **links[model.name]}
                for model, member in zip(models, blend.members, strict=True)
            ],
            "elsewhere": " and ".join(elsewhere),
            "other": next(each.parent.name for each in BLENDS.values() if each != path),
            "notes": footnotes([*models, blend]),
            "search": _search(name),
        }
        yield folder / "README.md", _page("folder.md", **values, **_parts(f"final-{name}"))


def _files(model: str, folder: Path) -> dict[str, str]:
    """Links from a blend's folder to the notebook and the script of a model."""
    kinds = {"notebook": f"*/Training/{model}.ipynb", "script": f"*/Inference/{model}.py"}
    return {kind: quote(os.path.relpath(next(FINAL.glob(path)), folder)) for kind, path in kinds.items()}


def _search(blend: str) -> str:
    """The command that searches the weights of a blend."""
    recipes = [recipe(member.model) for member in load_blend(BLENDS[blend]).members]
    folds = {kind_of_folds(model.stages(model.config, COMPETITION)[-1].folds.label) for model in recipes}
    return f"moa blend search {blend}{' --mixed comparable' if len(folds) > 1 else ''} --out mine.yaml"


def _page(template: str, **values: Any) -> str:
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    head = (HERE / "head.md").read_text(encoding="utf-8")
    return environment.from_string((HERE / template).read_text(encoding="utf-8")).render(values, head=head)


def _of_model(path: Path) -> dict[str, Any]:
    """What ``training.md`` says of the model of a notebook."""
    model = recipe(path.stem)
    stages = model.stages(model.config, COMPETITION)
    packages = [type(stage.learner).__module__.split(".")[2] for stage in stages]
    return {part: "" for part in ("train", "widths", "curves", "score")} | {
        "name": model.name,
        "blend": path.parts[-3],
        "family": FAMILIES[packages[-1]],
        "network": "perceptron" in packages,
        "several": len(stages) > 1,
        "example": next(example for start, example in EXAMPLES.items() if model.name.startswith(start)),
        **_parts(path.stem),
    }


def _parts(name: str) -> dict[str, str]:
    """What is said of a model or blend, by part."""
    text = (HERE / "models" / f"{name}.md").read_text(encoding="utf-8")
    pieces = re.split(r"^<!-- (\w+) -->\n", text, flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(pieces[1::2], pieces[2::2], strict=True)}


def _notebook(text: str) -> str:
    """A page as a notebook: each fence is a code cell, the text between them a Markdown cell."""
    cells: list[dict[str, Any]] = []
    for kind, tag, source in _pieces(text):
        cell = {"cell_type": kind, "id": f"cell-{len(cells):02d}", "metadata": {"tags": [tag]} if tag else {}}
        cell |= {"execution_count": None, "outputs": []} if kind == "code" else {}
        cells.append(cell | {"source": source.splitlines(keepends=True)})
    made = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(made, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _pieces(text: str) -> Iterator[tuple[str, str, str]]:
    for place, part in enumerate(re.split(r"^```(python.*\n(?:.*\n)*?)```$", text, flags=re.MULTILINE)):
        if place % 2:
            first, _, code = part.partition("\n")
            yield "code", first.removeprefix("python").strip(), re.sub(r"\n{4,}", "\n\n\n", code).strip("\n")
        elif part.strip():
            yield "markdown", "", re.sub(r"\n{3,}", "\n\n", part).strip()


if __name__ == "__main__":
    for path, text in (*notebooks(), *readmes()):
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(FINAL)}")
