"""Write the notebooks and the blends' README.md from their pages: ``python final/notebooks/render.py``.

A page is a Jinja template in Markdown: text, and code in fences. ``training.md`` is the page of all ten models;
``parts/`` holds its pieces, and ``models/NAME.md`` what is said of one model or blend, in parts that begin with
``<!-- part -->``. ``submission.md`` is the page of both blends, ``folder.md`` their README.md, ``head.md`` how each
notebook begins.

``{{ cell(FILE, NAME, ...) }}`` on a page stands for the source of definitions of the package, as a cell that begins
with the file's name (``moa.cells`` runs it); the first cell of a file has the imports that its definitions use. So
logic stands in the package alone. jupytext could read such pages as well; it has nothing for what they need besides:
definitions taken by name, ids of cells that stay, and outputs that are kept while no cell changes.

Edit the pages and run this file; a test fails while the notebooks are not what it writes. Then
``moa notebooks --write`` executes those whose cells have changed.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).resolve().parent
FINAL = HERE.parent
sys.path.insert(0, str(FINAL))

from moa.blending.blend import load_blend  # noqa: E402
from moa.blending.catalogue import BLENDS  # noqa: E402
from moa.blending.members import kind_of_folds  # noqa: E402
from moa.cells import Statement, statements  # noqa: E402
from moa.data.assay import COMPETITION  # noqa: E402
from moa.models import winners  # noqa: E402
from moa.models.registry import recipe  # noqa: E402
from moa.models.remarks import footnotes  # noqa: E402
from moa.notebook.outputs import dumps, with_outputs_of  # noqa: E402

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
    """The file of each notebook, and what it should hold; outputs are kept while no cell changes."""
    for path, notebook in _without_outputs():
        there = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        yield path, dumps(with_outputs_of(notebook, there) if there else notebook)


def _without_outputs() -> Iterator[tuple[Path, dict[str, Any]]]:
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
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, loader=FileSystemLoader(HERE))
    head = (HERE / "head.md").read_text(encoding="utf-8")
    shown = Shown()
    for _ in range(2):  # which imports a cell needs is known once all cells are
        shown = Shown(shown.names)
        text = environment.get_template(template).render(values, head=head, cell=shown.cell, left_out=shown.left_out)
    return text


class Shown:
    """What a page shows of the package; ``before`` are the names by file that it was found to show."""

    def __init__(self, before: Mapping[str, list[str]] | None = None):
        self.before, self.names = before or {}, dict[str, list[str]]()

    def cell(self, file: str, *names: str) -> str:
        """A cell with definitions of a file of the package, in the order in which they are named."""
        known = {name: part for part in _statements(file) for name in part.names}
        parts = list(dict.fromkeys(known[name] for name in names))
        first = file not in self.names
        twice = set(names) & set(self.names.setdefault(file, []))
        assert not twice, f"{file}: {twice} is there already"
        self.names[file] += sorted(name for part in parts for name in part.names)
        imports = "\n".join(self._imports(file)) if first else ""
        text = imports + "\n\n\n" * bool(imports)
        for number, part in enumerate(parts):
            text += part.code + (
                "" if number + 1 == len(parts) else "\n" if _short(part, parts[number + 1]) else "\n\n\n"
            )
        return f"```python\n# moa/{file}\n{text}\n```"

    def _imports(self, file: str) -> Iterator[str]:
        """The imports that the shown definitions of a file use, but for names that other cells define."""
        shown = self.before.get(file, [])
        code = "\n".join(part.code for part in _statements(file) if part.names & set(shown))
        for part in _statements(file):
            node = ast.parse(part.code).body[0]
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            module = node.module if isinstance(node, ast.ImportFrom) else ""
            elsewhere = f"{(module or '').removeprefix('moa.').replace('.', '/')}.py" in self.before
            names = [(each.asname or each.name).split(".")[0] for each in node.names]
            used = any(re.search(rf"\b{name}\b", code) for name in names)
            if used and not elsewhere and module not in ("__future__", "typing", "collections.abc"):
                yield part.code

    def left_out(self) -> str:
        """What the files of the cells hold besides, by file, as a Markdown list."""
        lines = []
        for file, names in self.names.items():
            others = [name for part in _statements(file) for name in sorted(part.names - set(names))]
            if others:
                lines.append(f"- `moa/{file}`: {', '.join(f'`{name}`' for name in others)}")
        return "\n".join(lines)


@cache
def _statements(file: str) -> list[Statement]:
    return statements((FINAL / "moa" / file).read_text(encoding="utf-8"))


def _short(one: Statement, other: Statement) -> bool:
    """Whether two definitions are assignments, which stand on lines that follow each other."""
    return not any(re.search(r"^(@|class |def |async )", part.code, re.MULTILINE) for part in (one, other))


def _of_model(path: Path) -> dict[str, Any]:
    """What ``training.md`` says of the model of a notebook."""
    model = recipe(path.stem)
    stages = model.stages(model.config, COMPETITION)
    packages = [type(stage.learner).__module__.split(".")[2] for stage in stages]
    return {part: "" for part in ("train", "widths", "curves", "score", "folds")} | {
        "name": model.name,
        "recipe_page": f"parts/{Path(sys.modules[model.stages.__module__].__file__ or '').stem}.md",
        "blend": path.parts[-3],
        "family": FAMILIES[packages[-1]],
        "perceptron": "perceptron" in packages,
        "several": len(stages) > 1,
        "logged": not winners.curves(model.name).empty,
        "example": next(example for start, example in EXAMPLES.items() if model.name.startswith(start)),
        **_parts(path.stem),
    }


def _parts(name: str) -> dict[str, str]:
    """What is said of a model or blend, by part."""
    text = (HERE / "models" / f"{name}.md").read_text(encoding="utf-8")
    pieces = re.split(r"^<!-- (\w+) -->\n", text, flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(pieces[1::2], pieces[2::2], strict=True)}


def _notebook(text: str) -> dict[str, Any]:
    """A page as a notebook: each fence is a code cell, the text between them a Markdown cell."""
    cells: list[dict[str, Any]] = []
    for kind, tag, source in _pieces(text):
        cell = {"cell_type": kind, "id": f"cell-{len(cells):02d}", "metadata": {"tags": [tag]} if tag else {}}
        cell |= {"execution_count": None, "outputs": []} if kind == "code" else {}
        cells.append(cell | {"source": source.splitlines(keepends=True)})
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


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
