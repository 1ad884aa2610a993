"""What a stage is, as JSON: stored beside its fits, and compared before they are used again.

Settings are compared by the manifest. But a recipe is code, and code can be edited: without this comparison, a step
that was changed in a recipe would be trained again with the old fits, and predict with them. Compared are the steps of
the features, their transformers and parameters, the learner, the folds and what a stage takes from earlier ones. Of
recipes outside of this package ``moa.models.source`` compares the source too: there no version number is raised.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel

from moa.features.base import OfLibrary, identity
from moa.features.pipeline import FeaturePipeline
from moa.files import digest
from moa.models.base import Recipe, Stage
from moa.weights.records import PipelineRecord, StageRecord
from moa.words import shown

_DEEPEST = 20
_MISSING = object()
#: Fields that steps have gained since stages were described first, with their defaults, which are left out.
_GAINED = {"training_rows": "transform"}


@dataclasses.dataclass(frozen=True)
class Described:
    """An object as its class and values.

    Attributes:
        kind: the class, by its package and name: files inside of a package may move.
        values: its parameters, fields or attributes.
        defaults: those that have the class's default. Another version of a package may add some.
    """

    kind: str
    values: Mapping[str, Any]
    defaults: frozenset[str] = frozenset()


def describe_stage(model: Recipe, stage: Stage) -> dict[str, Any]:
    """A stage as ``stage.json`` keeps it."""
    return to_json(_stage(model, stage))


def changed_stage(model: Recipe, stage: Stage, record: StageRecord) -> str | None:
    """The first difference between a stage and the one whose fits are stored, in words; None if there is none.

    Weights of format 1 have no description, and are taken as they are.
    """
    if record.description is None:
        return None
    changed = difference(record.description, _stage(model, stage))
    return changed or _changed_columns(stage.features(), record.pipeline)


def changed_columns(stage: Stage, seed: int, record: PipelineRecord) -> str | None:
    """The first step of a unit's own features that would take other columns than those it was fitted on, in words."""
    return _changed_columns(stage.unit_features(seed), record) if stage.unit_features else None


def _stage(model: Recipe, stage: Stage) -> dict[str, Any]:
    inside = stage.unit_features(stage.seeds[0]) if stage.unit_features and stage.seeds else None
    return {
        "rows": model.rows,
        "targets": stage.targets,
        "uses": list(stage.uses),
        "starts_from": stage.starts_from,
        "folds": describe(stage.folds),
        "learner": describe(stage.learner),
        "features": _pipeline(stage.features()),
        "unit_features": _pipeline(inside) if inside else None,
    }


def _pipeline(pipeline: FeaturePipeline) -> dict[str, Any]:
    """The steps by name, without their columns, which depend on the data."""
    steps = {}
    for step in pipeline.steps:
        values = {field.name: getattr(step, field.name) for field in dataclasses.fields(step)}
        values = {name: value for name, value in values.items() if _GAINED.get(name, _MISSING) != value}
        steps[step.name] = {name: describe(value) for name, value in values.items() if name not in ("name", "columns")}
    return {"dtype": pipeline.dtype.name, "order": [step.name for step in pipeline.steps], "steps": steps}


def _changed_columns(pipeline: FeaturePipeline, record: PipelineRecord) -> str | None:
    """Select each step's columns as they were when it was fitted, and compare."""
    fitted = {step.name: step for step in record.steps}
    columns = record.input_columns
    for step in pipeline.steps:
        now, there = step.columns(list(columns)), fitted[step.name].inputs if step.name in fitted else []
        if now != there:
            return f"features.steps.{step.name}.columns: {_columns(there, now)} there, {_columns(now, there)} now"
        if there:
            columns = fitted[step.name].columns(columns)
    return None


def _columns(names: list[str], others: list[str]) -> str:
    """Columns in a few words, with one that the others lack."""
    lost = sorted(set(names) - set(others))
    return f"{len(names)}, '{shown(lost[0])}' among them," if lost else f"{len(names)}"


def describe(value: Any, depth: int = 0) -> Any:
    """A value as JSON, with ``Described`` for objects; what cannot be described is named by its class."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if isinstance(value, np.generic):
        return describe(value.item(), depth)
    if isinstance(value, np.ndarray):
        return {"array": digest(value if value.dtype != object else [str(each) for each in value.ravel()])}
    if isinstance(value, type) or inspect.isroutine(value):
        return _name(value)
    if depth > _DEEPEST:
        return Described(_name(type(value)), {})

    def inner(values: Mapping[Any, Any]) -> dict[str, Any]:
        return {str(key): describe(each, depth + 1) for key, each in values.items()}

    if isinstance(value, Mapping):
        return inner(value)
    if isinstance(value, list | tuple):
        return [describe(each, depth + 1) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(str(each) for each in value)
    if isinstance(value, functools.partial):
        parts = {"function": value.func, "arguments": value.args, "keywords": value.keywords}
        return Described("partial", inner(parts))
    values, defaults = _values(value)
    found = inner(values)
    standard = inner(defaults)
    return Described(_name(type(value)), found, frozenset(k for k in standard if found.get(k, _MISSING) == standard[k]))


def _values(value: Any) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Parameters of an estimator, fields of a model or attributes; and the defaults that its class gives them."""
    if isinstance(value, OfLibrary):
        return identity(value)[1], {**value.fixed, **_defaults(type(value))}
    if hasattr(value, "get_params"):
        return value.get_params(deep=False), _defaults(type(value))
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        standard = {name: each.get_default(call_default_factory=True) for name, each in fields.items()
                    if not each.is_required()}  # fmt: skip
        return {name: getattr(value, name) for name in fields}, standard
    if dataclasses.is_dataclass(value):
        names = [each.name for each in dataclasses.fields(value)]
        return {name: getattr(value, name) for name in names}, _defaults(type(value))
    return getattr(value, "__dict__", {}), {}


def _defaults(kind: type) -> dict[str, Any]:
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}


def _name(what: Any) -> str:
    if isinstance(what, type) and issubclass(what, OfLibrary):
        package, _, name = what.library.partition(".")
        return f"{package}.{name.rpartition('.')[2]}"
    package = (getattr(what, "__module__", None) or "builtins").split(".")[0]
    return f"{package}.{getattr(what, '__qualname__', type(what).__qualname__)}"


def to_json(value: Any) -> Any:
    """A description without ``Described``."""
    if isinstance(value, Described):
        return {"class": value.kind, **to_json(value.values)}
    if isinstance(value, Mapping):
        return {key: to_json(each) for key, each in value.items()}
    return [to_json(each) for each in value] if isinstance(value, list) else value


def difference(there: Any, now: Any, place: str = "") -> str | None:
    """The first place where a stored JSON value or description and a present one differ, in words; None if they agree.

    A parameter that the stored one lacks and that has its default is one that another version of a package added.
    """
    if isinstance(now, Described) and isinstance(there, Mapping) and there.get("class") == now.kind:
        there = {key: each for key, each in there.items() if key != "class"}
        new = {key for key in now.defaults if key not in there}
        now = {key: each for key, each in now.values.items() if key not in new}
    if isinstance(now, Mapping) and isinstance(there, Mapping):
        for key in dict.fromkeys([*now, *there]):
            below = f"{place}.{key}" if place else str(key)
            found = difference(there.get(key, _MISSING), now.get(key, _MISSING), below)
            if found:
                return found
        return None
    if isinstance(now, list) and isinstance(there, list) and len(now) == len(there):
        pairs = enumerate(zip(there, now, strict=True))
        return next(filter(None, (difference(a, b, f"{place}.{i}") for i, (a, b) in pairs)), None)
    plain = to_json(now)
    same = plain is there or (plain == there and isinstance(plain, bool) == isinstance(there, bool))
    return None if same else f"{place or 'value'}: {_words(there)} there, {_words(plain)} now"


def _words(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    return shown(value["class"] if isinstance(value, Mapping) and "class" in value else value)
