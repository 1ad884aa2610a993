"""Read and write ``assay.json``, and say what is wrong with one."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from moa.data.assay import COMPETITION, Assay
from moa.data.folders import check_data_folder
from moa.errors import DataError, UserError
from moa.files import regular, write_json
from moa.words import shown

#: The file that describes the assay of a data folder.
ASSAY = "assay.json"
#: Problems of an assay.json that are named.
_SHOWN = 20


def load_assay(folder: Path) -> Assay:
    """The assay of a data folder: its ``assay.json``, or ``COMPETITION`` where there is none.

    Raises:
        DataError: lists what is wrong with the file.
        UserError: there is no such folder.
    """
    check_data_folder(folder)
    path = Path(folder) / ASSAY
    if not os.path.lexists(path):
        return COMPETITION
    try:
        raw = json.loads(regular(path).read_text(encoding="utf-8-sig"), object_pairs_hook=_each_once)
        return Assay.model_validate(raw)
    except ValidationError as error:
        raise DataError(list(dict.fromkeys(_problems(path, error, raw)))[:_SHOWN]) from None
    except json.JSONDecodeError as error:
        problem = f"{path}: line {error.lineno}, column {error.colno}: not JSON ({error.msg})"
    except UnicodeDecodeError:
        problem = f"{path}: not UTF-8 text; write it with `moa data import`, or save it as UTF-8"
    except ValueError as error:
        problem = f"{path}: {error}"
    except RecursionError:
        problem = f"{path}: brackets are nested too deeply; see the example in the documentation"
    except UserError as error:
        problem = str(error)
    except OSError as error:
        problem = f"{path}: cannot be read ({error.strerror})"
    raise DataError([problem])


def save_assay(folder: Path, assay: Assay) -> None:
    """Write the assay of a data folder, atomically."""
    write_json(Path(folder) / ASSAY, assay.plain)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys are all different; the json module would keep the last of equal ones."""
    for name, count in Counter(name for name, _ in pairs).items():
        if count > 1:
            raise ValueError(f'"{name}" occurs twice in one object; keep one of them')
    return dict(pairs)


#: Messages for the kinds of mistakes that pydantic finds; the messages of our own validators are used as they are.
_WORDS = {
    "missing": "missing; add it",
    "extra_forbidden": "unknown; remove it, or correct its name",
    "string_type": "expected a text",
    "string_too_short": "expected a text that is not empty",
    "tuple_type": "expected a list",
    "bool_type": "expected true or false",
    "model_type": "expected an object in braces",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "too_short": "expected at least {min_length}",
    "too_long": "expected at most {max_length}",
    "literal_error": "expected {expected}",
}
#: One message for each field that takes several kinds of values: pydantic reports a mistake once for each kind.
_EITHER = {
    "levels": "expected a list of levels, all of them texts or all numbers",
    "targets": "expected a list of names",
    "nonscored": "expected a list of names, [] for none",
}


def _problems(path: Path, error: ValidationError, raw: Any) -> Iterable[str]:
    """What is wrong with an assay.json, one line each: the place, what was expected, and what was found."""
    places = [each["loc"] for each in error.errors()]
    for each in error.errors():
        depth = len(each["loc"])
        if any(len(other) > depth and other[:depth] == each["loc"] for other in places):
            continue  # of a list with a wrong item, pydantic also reports that too few are left
        place, either = _place(each["loc"], raw)
        if each["type"] in ("missing", "extra_forbidden"):
            yield f"{path}: {place}: {_WORDS[each['type']]}"
        elif each["type"] in ("value_error", "assertion_error"):
            yield f"{path}: {place + ': ' if place else ''}{each['ctx']['error']}"
        else:
            words = _WORDS.get(each["type"])
            expected = either or (words.format(**each.get("ctx", {})) if words else each["msg"])
            found = each["input"] if not either else _at(raw, place)
            yield f"{path}: {place or 'the whole file'}: {expected}, found {shown(json.dumps(found, default=str))}"


def _place(loc: Sequence[Any], raw: Any) -> tuple[str, str | None]:
    """Where a mistake is, such as "groups.Cells.columns.3", and the message of a field of several kinds of values."""
    steps: list[str] = []
    for number, step in enumerate(loc):
        if number == 1 and loc[0] == "groups" and isinstance(step, int) and isinstance(raw, dict):
            groups = raw.get("groups")
            step = list(groups)[step] if isinstance(groups, dict) else step
        steps.append(str(step))
        if step in _EITHER:
            return ".".join(steps), _EITHER[step]
    return ".".join(steps), None


def _at(raw: Any, place: str) -> Any:
    """The value at a place."""
    for step in place.split("."):
        raw = raw[int(step)] if isinstance(raw, list) else raw[step]
    return raw
