"""The base of the package's transformers: scikit-learn's interface of a transformer, without importing scikit-learn.

Importing it takes longer than many a prediction. Fitting needs it, applying a fitted transformer to an array of numbers
does not. So a module that defines a transformer imports scikit-learn inside ``fit`` alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar, Self

import numpy as np


class Transformer:
    """Base class of transformers: parameters as scikit-learn's estimators have them, and the checks of inputs.

    What is stored of a fitted transformer are its parameters and its fitted attributes: those whose names end with an
    underscore. They hold numbers, text, None, arrays of these, and lists, tuples and mappings of all of them; see
    ``moa.weights.fitted_arrays``.

    Attributes:
        fit: learns from rows, shape (rows, columns), and from labels where the transformer takes some; returns itself.
    """

    fit: Callable[..., Self]

    def transform(self, X: Any) -> np.ndarray:
        """The rows of ``X``, shape (rows, columns), transformed."""
        raise NotImplementedError

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """What ``transform`` gives for the rows that the transformer is fitted on."""
        return (self.fit(X) if y is None else self.fit(X, y)).transform(X)

    @classmethod
    def parameters(cls) -> dict[str, Any]:
        """Names of the parameters in alphabetical order, with their defaults; ``inspect.Parameter.empty``: none."""
        found = list(inspect.signature(cls).parameters.values())
        return {each.name: each.default for each in sorted(found, key=lambda each: each.name)}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; ``deep`` has no effect, because no parameter is an estimator."""
        return {name: getattr(self, name) for name in self.parameters()}

    def set_params(self, **values: Any) -> Self:
        """Change parameters.

        Raises:
            ValueError: the transformer has no such parameter.
        """
        for name, value in values.items():
            if name not in self.parameters():
                raise ValueError(f"{type(self).__name__} has no parameter '{name}'; it has {list(self.parameters())}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        standard = self.parameters()
        changed = {name: value for name, value in self.get_params().items() if repr(value) != repr(standard[name])}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator, TransformerMixin

        return type("Tagged", (TransformerMixin, BaseEstimator), {})().__sklearn_tags__()

    def checked(self, X: Any, dtype: Any = np.float64, missing: bool = False) -> np.ndarray:
        """The rows to transform as an array, shape (rows, columns); ``missing``: NaN is allowed.

        Raises:
            ValueError: they are not numbers, or not as many columns as the transformer was fitted on.
            sklearn.exceptions.NotFittedError: it is not fitted.
        """
        known, rows = vars(self), type(X) is np.ndarray and X.ndim == 2 and len(X) and X.dtype == dtype
        fits = rows and X.shape[1] == known.get("n_features_in_") and "feature_names_in_" not in known
        if fits and (np.isfinite(X.sum()) or (missing and not np.isinf(X).any())):
            return X
        from sklearn.utils.validation import check_is_fitted, validate_data

        check_is_fitted(self)
        return validate_data(self, X, reset=False, dtype=dtype, ensure_all_finite="allow-nan" if missing else True)

    def learned(self, X: Any, y: Any = None, dtype: Any = np.float64, missing: bool = False) -> Any:
        """The rows to fit on as an array, shape (rows, columns), whose number of columns is kept; with ``y``, both.

        Raises:
            ValueError: they are not numbers, or there are none.
        """
        from sklearn.utils.validation import validate_data

        labels = () if y is None else (y,)
        return validate_data(self, X, *labels, dtype=dtype, ensure_all_finite="allow-nan" if missing else True)


class OneToOne(Transformer):
    """Base class of transformers that keep the columns and their names."""

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns, those of the inputs: ``input_features``, or else those of the fit."""
        from sklearn.base import OneToOneFeatureMixin

        return OneToOneFeatureMixin.get_feature_names_out(self, input_features)


class Selecting(Transformer):
    """Base class of transformers that keep some columns: those that ``get_support`` marks."""

    def get_support(self) -> np.ndarray:
        """True for columns that are kept, shape (columns,)."""
        raise NotImplementedError

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns that are kept; without ``input_features`` those of ``fit``, or "x0", "x1", …."""
        if input_features is None:
            known = vars(self)
            input_features = known.get("feature_names_in_", [f"x{i}" for i in range(known["n_features_in_"])])
        return np.asarray(input_features, dtype=object)[self.get_support()]


class OfLibrary(Transformer):
    """Base class of scikit-learn's transformers as they are used here: it fits them, and is not needed to apply them.

    Attributes:
        library: module and name of scikit-learn's class.
        fixed: its parameters that are not offered, at its defaults.
    """

    library: ClassVar[str]
    fixed: ClassVar[Mapping[str, Any]] = {}

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit scikit-learn's class on the rows of ``X``, shape (rows, columns), and keep what it has learned."""
        return self._keep(self._of_library().fit(X, y))

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit, and return what scikit-learn's ``fit_transform`` gives, which differs where its solver is not exact."""
        fitted = self._of_library()
        values = fitted.fit_transform(X, y)
        self._keep(fitted)
        return values

    def _of_library(self) -> Any:
        module, _, name = self.library.rpartition(".")
        return getattr(import_module(module), name)(**identity(self)[1])

    def _keep(self, fitted: Any) -> Self:
        learned = {name: value for name, value in vars(fitted).items() if name.endswith("_") and name[0] != "_"}
        vars(self).update(learned)
        return self


def identity(transformer: Any) -> tuple[str, dict[str, Any]]:
    """What a transformer is called where fits are named and recipes compared: its class, and its parameters.

    Those of ``OfLibrary`` have the names of scikit-learn's classes.
    """
    kind, parameters = type(transformer), transformer.get_params()
    if isinstance(transformer, OfLibrary):
        return transformer.library, {**kind.fixed, **parameters}
    return f"{kind.__module__}.{kind.__qualname__}", parameters


def blocks(size: int, most: int) -> Iterator[slice]:
    """Slices of at most ``most`` places that cover ``size`` places."""
    return (slice(start, min(start + most, size)) for start in range(0, size, most))
