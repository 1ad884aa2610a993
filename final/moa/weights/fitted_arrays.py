"""Fitted transformers of the package as arrays with a schema, which numpy alone reads.

A zip file that is not compressed: ``fits.json``, and the arrays as 0.npy, 1.npy, … The schema names the class of each
transformer, its parameters and its fitted attributes::

    {"format": 1, "fits": {"": {"class": "GaussianRank", "parameters": {"n_quantiles": 100, "random_state": 0},
                                "fitted": {"n_features_in_": 872, "quantiles_": {"array": 0}, ...}}}}

A value is JSON's own, or a mapping that says what it is: "array" (number of its file), "scalar" (likewise, one value of
numpy), "text" (likewise, an array of strings as objects), "tuple" (its values) or "mapping" (its pairs). Only classes
that ``moa.features.stored`` lists are made, and only their parameters and fitted attributes are set.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np

import moa.features
from moa.errors import StoreError
from moa.features.base import Transformer
from moa.features.stored import STORED
from moa.words import shown

FORMAT = 1
_SCHEMA = "fits.json"
_FITTED = re.compile(r"[a-z][a-z0-9_]*_")
#: Kinds of arrays that hold no Python objects: bool, integers, floats, bytes and strings.
_PLAIN = "biufSU"


class NotPlainError(TypeError):
    """A transformer is of a class outside of the package, or holds something else than numbers, text and arrays."""


def pack(fits: Mapping[str, Any]) -> bytes:
    """Fitted transformers by name, as bytes; equal ones give equal bytes.

    Raises:
        NotPlainError: one cannot be stored in this form.
    """
    arrays: list[np.ndarray] = []
    described = {name: _describe(fitted, arrays) for name, fitted in fits.items()}
    schema = json.dumps({"format": FORMAT, "fits": described}, ensure_ascii=False)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(zipfile.ZipInfo(_SCHEMA), schema)
        for number, array in enumerate(arrays):
            content = BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            file.writestr(zipfile.ZipInfo(_array(number)), content.getbuffer())
    return packed.getvalue()


def unpack(payload: bytes) -> dict[str, Any] | None:
    """The transformers that ``pack`` made into bytes; None where the bytes are of another form.

    Raises:
        StoreError: they were written by a newer version, or name a class that is not stored.
        Exception: of any other kind, where the bytes were not written by ``pack``.
    """
    with zipfile.ZipFile(BytesIO(payload)) as file:
        if _SCHEMA not in file.namelist():
            return None
        schema = json.loads(file.read(_SCHEMA))
        if schema["format"] > FORMAT:
            raise StoreError(f"written in format {schema['format']}, this version reads up to {FORMAT}")
        return {name: _make(described, file) for name, described in schema["fits"].items()}


def _describe(fitted: Any, arrays: list[np.ndarray]) -> dict[str, Any]:
    kind = type(fitted)
    if not isinstance(fitted, Transformer) or kind is not getattr(moa.features, kind.__name__, None):
        raise NotPlainError(f"{kind.__name__} is not a transformer of this package")
    own = vars(fitted)
    return {
        "class": kind.__name__,
        "parameters": {name: _encode(own[name], arrays) for name in kind.parameters() if name in own},
        "fitted": {name: _encode(value, arrays) for name, value in own.items() if _FITTED.fullmatch(name)},
    }


def _make(described: Mapping[str, Any], file: zipfile.ZipFile) -> Any:
    name = described["class"]
    if name not in STORED:
        raise StoreError(f"holds types that are not trusted: {shown(name)}")
    kind = getattr(moa.features, name)
    made = kind.__new__(kind)
    for part, known in (("parameters", kind.parameters().__contains__), ("fitted", _FITTED.fullmatch)):
        for attribute, value in described[part].items():
            if not known(attribute):
                raise ValueError(f"{name} has no {attribute}")
            vars(made)[attribute] = _decode(value, file)
    return made


def _encode(value: Any, arrays: list[np.ndarray]) -> Any:
    def kept(array: np.ndarray) -> int:
        if array.dtype.kind not in _PLAIN:
            raise NotPlainError(f"an array of {array.dtype}")
        arrays.append(array)
        return len(arrays) - 1

    if isinstance(value, np.generic):
        return {"scalar": kept(np.asarray(value))}
    if isinstance(value, np.ndarray):
        if value.dtype == object and all(type(each) is str for each in value.flat):
            return {"text": kept(value.astype(str))}
        return {"array": kept(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_encode(each, arrays) for each in value]
    if isinstance(value, tuple):
        return {"tuple": [_encode(each, arrays) for each in value]}
    if isinstance(value, Mapping):
        return {"mapping": [[_encode(each, arrays) for each in pair] for pair in value.items()]}
    raise NotPlainError(f"a value of {type(value).__name__}")


def _decode(value: Any, file: zipfile.ZipFile) -> Any:
    if isinstance(value, list):
        return [_decode(each, file) for each in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tuple":
        return tuple(_decode(each, file) for each in content)
    if kind == "mapping":
        return {_decode(key, file): _decode(each, file) for key, each in content}
    array = np.lib.format.read_array(BytesIO(file.read(_array(content))), allow_pickle=False)
    if kind == "text":
        return array.astype(object)
    return array[()] if kind == "scalar" else array


def _array(number: int) -> str:
    return f"{number:d}.npy"
