"""Fitted transformers on disk: found by what they were fitted on, shared by all models of a weights folder.

They are skops files, which hold arrays and names of classes. Nothing is unpickled, and only classes on the list
``moa.features.stored.trusted_types`` are constructed.
"""

from __future__ import annotations

import hashlib
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn
import skops.io
from sklearn.base import clone

from moa.errors import StoreError
from moa.features.stored import trusted_types
from moa.files import creating, digest, regular
from moa.weights.layout import WeightsFolder
from moa.words import shown

_CHECKSUM_BYTES = 32
_SKOPS_SCHEMA = "schema.json"


class SharedFits:
    """Fitted transformers of a weights folder.

    The key of a fit is a hash of the transformer's class and parameters, scikit-learn's version and the values it was
    fitted on. The second model that asks for the same fit reads it, and two different fits never share a key. ``path``
    gives the file of a key.
    """

    def __init__(self, weights: Path):
        self.path = WeightsFolder(weights).fit
        self._loaded: dict[str, Any] = {}

    def fit(self, transformer: Any, X: Any, y: np.ndarray | None = None) -> tuple[Any, str]:
        """Fit a clone of ``transformer``, or read the same fit made before; returns it with its key."""
        kind = type(transformer)
        key = digest(
            f"{kind.__module__}.{kind.__qualname__}",
            repr(sorted(transformer.get_params().items(), key=str)),
            sklearn.__version__,
            *_contents(X),
            [] if y is None else np.asarray(y),
        )
        if self.path(key).exists():
            return self.load(key), key
        fitted = clone(transformer).fit(X) if y is None else clone(transformer).fit(X, y)
        raw = dump(fitted)
        with creating(self.path(key), len(raw)) as temporary:
            temporary.write_bytes(raw)
        # The stored copy is returned, not the fit itself. It may be another process's of the same moment, made on
        # another number of threads, and all must continue with the one that is kept. Arrays also come back in another
        # memory order, which can change a product's last bit: a fresh process must predict what was predicted at
        # training.
        return self.load(key), key

    def load(self, key: str) -> Any:
        """Read a fit.

        Raises:
            StoreError: it is missing, damaged, or holds a type that is not trusted.
        """
        if key not in self._loaded:
            path = self.path(key)
            try:
                raw = regular(path).read_bytes()
            except FileNotFoundError:
                raise StoreError(
                    f"{path}: missing; copy the whole weights folder, its 'shared' part included"
                ) from None
            self._loaded[key] = load(raw, path)
        return self._loaded[key]


def _contents(X: np.ndarray | pd.DataFrame) -> tuple[Any, ...]:
    """What of a table is hashed: an array; or a frame's columns, its numbers and the whole text of its other cells."""
    if isinstance(X, np.ndarray):
        return (X,)
    numbers = X.select_dtypes("number")
    others = X.drop(columns=numbers.columns)
    text = [[str(cell) for cell in others[column]] for column in others]
    return ([str(column) for column in X], numbers.to_numpy(np.float64), text)


def dump(fitted: Any) -> bytes:
    """A fitted transformer, or a dictionary of them, as bytes with a checksum in front."""
    payload = skops.io.dumps(fitted)
    return hashlib.sha256(payload).digest() + payload


def load(raw: bytes, path: Path) -> Any:
    """What ``dump`` made into bytes, which come from the file ``path``.

    Raises:
        StoreError: they are damaged, or hold a type that is not trusted.
    """
    checksum, payload = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if hashlib.sha256(payload).digest() != checksum:
        raise StoreError(f"{path}: damaged (checksum differs); delete it and train again")
    try:
        unknown = sorted(set(skops.io.get_untrusted_types(data=payload)) - set(trusted_types()))
        if not unknown:
            return skops.io.loads(payload, trusted=trusted_types())
    # A file that skops did not write fails in many ways: in its zip, its JSON, or the constructors of its types.
    except Exception as error:
        raise StoreError(
            f"{path}: holds no fit that can be read ({type(error).__name__}: {shown(error)}); train again"
        ) from error
    raise StoreError(f"{path}: holds types that are not trusted: {shown(', '.join(unknown), 200)}")


def array_hashes(path: Path) -> list[str]:
    """Hashes of a fit's arrays, sorted; the rest of the file holds addresses and times, which always differ.

    Raises:
        StoreError: the file is damaged.
    """
    try:
        with zipfile.ZipFile(BytesIO(regular(path).read_bytes()[_CHECKSUM_BYTES:])) as packed:
            names = [name for name in packed.namelist() if name != _SKOPS_SCHEMA]
            return sorted(hashlib.sha256(packed.read(name)).hexdigest() for name in names)
    except zipfile.BadZipFile:
        raise StoreError(f"{path}: damaged; copy it again") from None
