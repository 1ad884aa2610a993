"""Open HDF5 files and read their texts, for the formats GCTX and AnnData."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from moa.errors import UserError
from moa.importing.source import HDF5, Source

if TYPE_CHECKING:
    import h5py


@contextmanager
def opened(source: Source) -> Iterator[h5py.File]:
    """The open file.

    Raises:
        UserError: h5py is not installed, or the file is damaged.
    """
    try:
        import h5py
    except ImportError:
        raise UserError(f"{source.name}: an HDF5 file needs h5py; install it: pip install h5py") from None
    try:
        with h5py.File(source.seekable(), "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        # h5py raises these for files cut short and for broken links inside the file.
        reason = str(error).strip("'\"").splitlines()[0]
        raise UserError(
            f"{source.name}: the HDF5 file is damaged or cut short ({reason[:100]}); copy or download it again"
        ) from None


def groups(source: Source) -> set[str] | None:
    """Names in the root of an HDF5 file; None of any other file."""
    if not source.head.startswith(HDF5):
        return None
    with opened(source) as file:
        return set(file)


def texts(values: Any) -> list[str] | np.ndarray:
    """An array as Python texts if it holds text (of fixed or variable length), otherwise unchanged."""
    values = np.asarray(values)
    if values.dtype.kind in "SO":
        return [
            value.decode("utf-8", "replace").rstrip("\0 ") if isinstance(value, bytes) else str(value)
            for value in values.ravel().tolist()
        ]
    return values


def attribute(item: Any, name: str, default: str = "") -> str:
    """An attribute as text."""
    value = item.attrs.get(name, default)
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else default
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
