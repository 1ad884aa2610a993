"""Files to start a new model from: ``moa models new NAME``."""

from __future__ import annotations

import re
from pathlib import Path

from moa.errors import UserError
from moa.files import replacing
from moa.models.registry import any_assay_recipes, package_recipes
from moa.words import shown

#: Learners of the files.
KINDS = ("logistic", "lightgbm", "perceptron")


def write_template(name: str, kind: str = "logistic", folder: Path | str = ".") -> Path:
    """Write a file for a new model, which can be trained as it is.

    Args:
        name: of the model, such as "my-model"; the file becomes ``my_model.py``.
        kind: one of ``KINDS``.
        folder: where to write it.

    Returns:
        the file.

    Raises:
        UserError: the name cannot be used, the kind is unknown, or the file exists.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise UserError(
            f"'{shown(name)}' is not a valid model name; use small letters, digits and hyphens, as in my-model"
        )
    if name in package_recipes() | any_assay_recipes():
        raise UserError(f"'{name}' is a model of the package; give yours another name")
    if kind not in KINDS:
        raise UserError(f"--kind {shown(kind)}: choose one of: {', '.join(KINDS)}")
    path = Path(folder) / f"{name.replace('-', '_')}.py"
    if path.exists():
        raise UserError(f"{path}: exists already; give another name or --out folder")
    words = name.replace("-", " ")
    values = {"NAME": name, "TITLE": words[0].upper() + words[1:], "FILE": path.name}
    # No format or template language: braces are Python's here.
    text = Path(__file__).with_name(f"{kind}.py.txt").read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"<{key}>", value)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path
