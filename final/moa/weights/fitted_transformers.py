"""Fitted transformers on disk: found by what they were fitted on, shared by all models of a weights folder.

Those of the package are arrays with a schema (``moa.weights.fitted_arrays``). Others, of users' recipes, are skops
files, which hold arrays and names of classes. So were all until version 0.3, and they are still read. Nothing is
unpickled, and only classes on the list ``moa.features.stored.trusted_types`` are constructed.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moa.errors import StoreError
from moa.features.base import identity
from moa.features.stored import trusted_types
from moa.files import creating, digest, regular
from moa.weights import fitted_arrays
from moa.weights.layout import ARRAYS, SKOPS, WeightsFolder
from moa.words import shown

_CHECKSUM_BYTES = 32
#: The name of a single transformer in a file, which else holds several by name.
_ALONE = ""


class SharedFits:
    """Fitted transformers of a weights folder.

    The key of a fit is a hash of the transformer's class and parameters, scikit-learn's version and the values it was
    fitted on. The second model that asks for the same fit reads it, and two different fits never share a key. ``path``
    gives the file of a key.
    """

    def __init__(self, weights: Path):
        self.folder = WeightsFolder(weights)
        self.path = self.folder.fit
        self._loaded: dict[str, Any] = {}

    def fit(self, transformer: Any, X: Any, y: np.ndarray | None = None) -> tuple[Any, str]:
        """Fit a clone of ``transformer``, or read the same fit made before; returns it with its key."""
        name, parameters = identity(transformer)
        key = digest(
            name,
            repr(sorted(parameters.items(), key=str)),
            version("scikit-learn"),
            *_contents(X),
            [] if y is None else np.asarray(y),
        )
        if self.path(key).exists():
            return self.load(key), key
        from sklearn.base import clone

        fitted = clone(transformer).fit(X) if y is None else clone(transformer).fit(X, y)
        raw, suffix = dump(fitted)
        with creating(self.path(key, suffix), len(raw)) as temporary:
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


def dump(fitted: Any) -> tuple[bytes, str]:
    """A fitted transformer, or a dictionary of them, as bytes with a checksum in front; and the suffix of the file."""
    try:
        fits = fitted if isinstance(fitted, Mapping) else {_ALONE: fitted}
        payload, suffix = fitted_arrays.pack(fits), ARRAYS
    except fitted_arrays.NotPlainError:
        import skops.io

        payload, suffix = skops.io.dumps(fitted), SKOPS
    return hashlib.sha256(payload).digest() + payload, suffix


def load(raw: bytes, path: Path) -> Any:
    """What ``dump`` made into bytes, which come from the file ``path``.

    Raises:
        StoreError: they are damaged, or hold a type that is not trusted.
    """
    checksum, payload = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if hashlib.sha256(payload).digest() != checksum:
        raise StoreError(f"{path}: damaged (checksum differs); delete it and train again")
    try:
        fits = fitted_arrays.unpack(payload)
        if fits is not None:
            return fits[_ALONE] if list(fits) == [_ALONE] else fits
        import skops.io

        unknown = sorted(set(skops.io.get_untrusted_types(data=payload)) - set(trusted_types()))
        if not unknown:
            return skops.io.loads(payload, trusted=trusted_types())
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from None
    # A file of another origin fails in many ways: in its zip, its JSON, or the constructors of its types.
    except Exception as error:
        raise StoreError(
            f"{path}: holds no fit that can be read ({type(error).__name__}: {shown(error)}); train again"
        ) from error
    raise StoreError(f"{path}: holds types that are not trusted: {shown(', '.join(unknown), 200)}")


def array_hashes(path: Path) -> list[str]:
    """Hashes of a fit's arrays, sorted; the rest of a skops file holds addresses and times, which always differ.

    Raises:
        StoreError: the file is damaged.
    """
    try:
        with zipfile.ZipFile(BytesIO(regular(path).read_bytes()[_CHECKSUM_BYTES:])) as packed:
            names = [name for name in packed.namelist() if name.endswith(".npy")]
            return sorted(hashlib.sha256(packed.read(name)).hexdigest() for name in names)
    except zipfile.BadZipFile:
        raise StoreError(f"{path}: damaged; copy it again") from None


def same(first: Path, second: Path) -> bool:
    """Whether two files of one key hold the same fit.

    Where one is of the form of before, which lacks what follows from other arrays, those are compared that both hold.

    Raises:
        StoreError: one is damaged.
    """
    if first.suffix == second.suffix:
        return array_hashes(first) == array_hashes(second)
    one, other = (_arrays(load(regular(path).read_bytes(), path)) for path in (first, second))
    common = one.keys() & other.keys()
    return bool(common) and all(one[name] == other[name] for name in common)


def _arrays(fitted: Any) -> dict[str, tuple[Any, ...]]:
    found = {name: np.ascontiguousarray(value) for name, value in vars(fitted).items() if isinstance(value, np.ndarray)}
    return {name: (value.dtype.str, value.shape, value.tobytes()) for name, value in found.items()}
