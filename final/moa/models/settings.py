"""Settings that a command line changes: ``learner.hidden=1024`` or ``seeds=[0,1]`` as nested values."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from moa.errors import UserError, in_words
from moa.words import shown


def parse_settings(assignments: Iterable[str]) -> dict[str, Any]:
    """Assignments as a nested mapping, for ``Recipe.configure``.

    Args:
        assignments: ``NAME=VALUE`` or ``PART.NAME=VALUE``; a value is written as in YAML: 3, 0.1, true, null, text,
            [0, 1].

    Raises:
        UserError: one is not of this form.
    """
    import yaml

    found: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        names = path.strip().split(".")
        if not equals or not all(name.isidentifier() for name in names):
            raise UserError(
                f"--set {shown(assignment)}: expected NAME=VALUE, such as learner.hidden=1024 or seeds=[0,1]"
            )
        try:
            value = None if text.strip() == "None" else yaml.safe_load(text)
        except (yaml.YAMLError, RecursionError):
            raise UserError(f"--set {shown(assignment)}: the value cannot be read; write it as in YAML") from None
        below = found
        for name in names[:-1]:
            if not isinstance(below.get(name), dict):
                below[name] = {}
            below = below[name]
        below[names[-1]] = value
    return found


def wrong_settings(name: str, config: BaseModel, error: ValidationError) -> UserError:
    """What is wrong with the settings of a model, in one line; names that are unknown with those that are known."""
    first = error.errors(include_url=False)[0]
    if first["type"] != "extra_forbidden":
        return UserError(f"{name}: wrong setting: {in_words(error)}")
    *above, unknown = map(str, first["loc"])
    part: Any = config
    for step in above:
        part = getattr(part, step, None)
    known = list(type(part).model_fields) if isinstance(part, BaseModel) else []
    close = get_close_matches(unknown, known, 1)
    path, owner = ".".join([*above, unknown]), ".".join(above) or "it"
    guess = f"did you mean {'.'.join([*above, close[0]])}? " if close else ""
    listed = f"{owner} has {', '.join(known)}" if known else f"{owner} has no settings of its own"
    return UserError(f"{name}: there is no setting {shown(path)}; {guess}{listed}")
