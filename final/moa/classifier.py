"""A classifier with scikit-learn's interface over any model of the package."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from moa.api import recipes_of
from moa.data.assay import COMPETITION, Assay, Control, FeatureGroup
from moa.data.dataset import Dataset
from moa.data.schema import SIG_ID, TEST_FEATURES, TRAIN_DRUG, TRAIN_FEATURES, TRAIN_NONSCORED, TRAIN_SCORED
from moa.errors import UserError
from moa.files import digest, replacing
from moa.jobs.fitting import fit_models, held_columns
from moa.jobs.options import DeviceOptions
from moa.learners.runtime import Runtime
from moa.loaded import features_of
from moa.models.base import Recipe
from moa.training.runner import Runner
from moa.training.unit_progress import Silent
from moa.weights.trained import Trained, open_trained

#: Fewest training rows: below, no familiarity can be fitted.
LEAST_ROWS = 10
#: The column that marks controls among rows of numbers, and its values.
_CONTROL, _YES, _NO = "is control", "control", "treated"


class MoAClassifier(ClassifierMixin, BaseEstimator):
    """Any model of the package as a scikit-learn classifier: its features, folds, seeds and networks on your own rows.

    ``fit`` trains every unit (seed, fold) of the model, and ``predict_proba`` is their mean, as in the submissions. The
    winning blend of several models is for ``moa.train`` and ``moa.load``. For plates of a laboratory take "any-assay",
    "profile-logistic" or "profile-neighbours", whose probabilities are calibrated.

    Args:
        recipe: name of a model, a file of one's own (``my_model.py``), or a ``moa.models.base.Recipe``.
        profile: "kaggle" for the published settings, "demo" for small ones.
        settings: settings to change, nested: ``{"learner": {"hidden": 256}, "seeds": [0]}``.
        assay: what the columns of ``X`` are; None: the competition's where ``X`` is a frame that has its columns, else
            every column is a feature of one group.
        weights: folder to keep the trained units in, where a fit that was stopped continues; None: a temporary one,
            which goes with the classifier, also when it is pickled.
        device: "auto", "cpu" or "cuda".

    Attributes:
        classes_: labels; for several targets their numbers.
        n_features_in_: number of columns.
        feature_names_in_: names of the columns, where ``X`` is a frame.
        targets_: names of the targets.
        n_outputs_: number of targets of a table of labels; 1 for a column.
        oof_: out-of-fold probabilities of the training rows, shape (rows, targets); NaN for controls.
        controls_: whether each training row is a control, shape (rows,).
    """

    _assay: Assay

    def __init__(
        self,
        recipe: str | Recipe = "simple-nn-old-cv",
        profile: str = "kaggle",
        settings: Mapping[str, Any] | None = None,
        assay: Assay | None = None,
        weights: str | Path | None = None,
        device: str = "auto",
    ):
        self.recipe = recipe
        self.profile = profile
        self.settings = settings
        self.assay = assay
        self.weights = weights
        self.device = device

    def fit(self, X: Any, y: Any, groups: Any = None, controls: Any = None) -> MoAClassifier:
        """Train.

        Args:
            X: shape (rows, columns), numbers, or a frame with the columns of ``assay``. At least 10 rows.
            y: labels, shape (rows,); or 0/1 for several targets, shape (rows, targets), an array or a frame whose
                columns name them.
            groups: the compound of each row, shape (rows,). Folds then hold out whole compounds, as ``moa train`` does
                for data with compounds; on the competition's columns the model's own folds use them, where it asks.
            controls: which rows of ``X`` are controls, bool, shape (rows,), whose labels do not count; or profiles of
                controls, shape (controls, columns), that are not among the rows. What the model standardises and
                spheres on them is. None: there are none, or ``assay`` has a column that marks them.

        Raises:
            ValueError: rows, labels or settings do not fit; the message says which.
        """
        try:
            return self._fit(X, y, groups, controls)
        except UserError as error:
            raise ValueError(str(error)) from error

    def predict_proba(self, X: Any, raw: bool = False) -> np.ndarray:
        """Probabilities of the classes or targets.

        Args:
            X: shape (rows, columns), the columns of ``fit``.
            raw: as the model gives them; they are calibrated otherwise, but for the competition's columns.

        Returns:
            for labels shape (rows, classes), which sum to 1; for several targets (rows, targets).

        Raises:
            ValueError: the columns are not those of ``fit``, or a value is missing; the message says which.
        """
        check_is_fitted(self)
        try:
            found = self._trained().predict(self._frame(X), quiet=True, raw=raw).to_numpy(np.float64)
        except UserError as error:
            raise ValueError(str(error)) from error
        if self.n_outputs_ > 1 or self._multilabel:
            return found
        if found.shape[1] == 1:
            return np.column_stack([1 - found[:, 0], found[:, 0]])[:, -len(self.classes_) :]
        total = found.sum(axis=1, keepdims=True)
        return np.where(total > 0, found / np.where(total > 0, total, 1), 1 / len(self.classes_))

    def predict_frame(self, X: Any, raw: bool = False) -> pd.DataFrame:
        """`predict_proba` as a table: its columns are the labels or the names of the targets, its index that of ``X``.

        ``X``, ``raw`` and errors are those of `predict_proba`.
        """
        found = self.predict_proba(X, raw)
        columns = self.targets_ if self._multilabel else self.classes_
        return pd.DataFrame(found, X.index if isinstance(X, pd.DataFrame) else None, columns)

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest label of each row of ``X``, shape (rows,); for several targets 0/1, shape (rows, targets)."""
        found = self.predict_proba(X)
        if self._multilabel:
            return (found > 0.5).astype(np.int64)
        return self.classes_[found.argmax(axis=1)]

    # -- inside -------------------------------------------------------------------------------------------------------

    def _fit(self, X: Any, y: Any, groups: Any, controls: Any) -> MoAClassifier:
        recipe = self._recipe()
        frame, labels = self._checked(X, y, self._assay_of(X), groups is not None)
        frame, beside = self._with_controls(frame, controls)
        config = recipe.configure(self.profile, self.settings)
        # A learner of profiles compares targets with each other: of two classes both are targets.
        self._both = any(getattr(stage.learner, "calibrated", False) for stage in recipe.stages(config, self._assay))
        scored = self._scored(labels, y, frame.index[: len(labels)]).reindex(frame.index, fill_value=np.uint8(0))
        drugs = None
        if groups is not None:
            names = [*np.asarray(groups).astype(str), *(f"control {number}" for number in range(beside))]
            drugs = pd.Series(names, frame.index, name="drug_id")
        data = _dataset(frame, scored, drugs, self._assay)
        if drugs is None and recipe.needs(config, self._assay)["drugs"]:
            raise UserError(f"{recipe.name}: its folds keep compounds apart; give the compound of each row as groups")
        self._folder = _temporary_folder() if self.weights is None else None
        columns = held_columns(None, self._assay)
        (fitted,) = fit_models([recipe], {recipe.name: config}, data, columns, quiet=True).values()
        trained = fitted.trained(self._weights, self._assay, self._runtime)
        runner = Runner(trained, self.profile, watch=Silent(), describes=False)
        runner.train_units(data)
        runner.calibrate(data)
        rows = frame.index[: len(labels)]
        found = trained.calibrated_oof(data.scored[data.treated])
        self.oof_ = found.reindex(rows[data.treated[rows]]).reindex(rows).to_numpy()
        return self

    def _with_controls(self, frame: pd.DataFrame, controls: Any) -> tuple[pd.DataFrame, int]:
        """The rows with their controls marked, and the number of controls that were added to them."""
        schema, count = self._assay, len(frame)
        if controls is None:
            self.controls_ = ~schema.is_treated(frame).to_numpy()
            return frame, 0
        if schema.control is not None:
            place = f"its column '{schema.control.column}'"
            raise UserError(f"controls: {schema.name} marks them in {place}; leave them out")
        found = np.asarray(controls)
        if found.ndim == 1 and found.shape == (count,) and found.dtype == bool:
            added, self.controls_ = frame.iloc[:0], found
        elif found.ndim == 2 and found.shape[1] == len(schema.values):
            values = found.astype(np.float64)
            if not np.isfinite(values).all():
                raise UserError("controls: a value is missing or infinite; leave such wells out")
            ids = [f"control-{number:07d}" for number in range(len(found))]
            added, self.controls_ = pd.DataFrame(values, ids, schema.values), np.zeros(count, bool)
        else:
            raise UserError(
                f"controls: shape {found.shape}, {found.dtype}; give True or False for each of the {count} rows, or "
                f"profiles of {len(schema.values)} columns"
            )
        if self.controls_.all():
            raise UserError("controls: every row is one, so there is nothing to learn from")
        mark = Control(column=_CONTROL, values=(_YES,))
        self._assay = schema.model_copy(update={"control": mark})
        marks = [*np.where(self.controls_, _YES, _NO), *[_YES] * len(added)]
        whole = pd.concat([frame, added]).rename_axis(SIG_ID)
        whole.insert(0, _CONTROL, marks)
        return whole[list(self._assay.features)], len(added)

    def _assay_of(self, X: Any) -> Assay | None:
        """The assay of a frame; None where every column is a feature."""
        if self.assay is not None:
            return self.assay
        whole = isinstance(X, pd.DataFrame) and set(COMPETITION.features) <= set(X.columns)
        return COMPETITION if whole else None

    def _checked(self, X: Any, y: Any, assay: Assay | None, compounds: bool) -> tuple[pd.DataFrame, np.ndarray]:
        """Checked rows and labels; sets what scikit-learn's classifiers know of their inputs."""
        if assay is None:
            values, labels = validate_data(
                self, X, y, dtype=np.float64, multi_output=True, ensure_min_samples=LEAST_ROWS
            )
            columns = tuple(getattr(self, "feature_names_in_", [f"x{i}" for i in range(values.shape[1])]))
            group = FeatureGroup(name="features", columns=columns)
            self._assay, self._own = Assay(name="table", groups=(group,), compound=compounds), False
            frame = self._rows(values)
        else:
            changes = {"targets": None, "nonscored": (), "compound": compounds}
            self._assay, self._own = assay.model_copy(update=changes), True
            self.feature_names_in_ = np.array(assay.features, dtype=object)
            self.n_features_in_ = len(assay.features)
            frame = self._frame(X)
            labels = np.asarray(y)
            if len(labels) != len(frame):
                raise UserError(f"y: {len(labels)} rows of labels for {len(frame)} rows of features")
        check_classification_targets(labels)
        return frame, labels

    def _scored(self, labels: np.ndarray, y: Any, rows: pd.Index) -> pd.DataFrame:
        """0/1 columns of the targets, or of the classes; controls have none."""
        self._multilabel = labels.ndim == 2 and labels.shape[1] > 1
        if self._multilabel:
            if type_of_target(labels) != "multilabel-indicator":
                raise UserError("y: for several targets give 0/1, shape (rows, targets)")
            names = list(y.columns) if isinstance(y, pd.DataFrame) else [f"target-{i}" for i in range(labels.shape[1])]
            self.classes_, self.n_outputs_ = np.arange(labels.shape[1]), labels.shape[1]
        else:
            labels = labels.ravel()
            self.classes_, self.n_outputs_ = unique_labels(labels[~self.controls_]), 1
            if len(self.classes_) < 2:
                raise UserError(f"y: all labels are {self.classes_[0]}; give rows of at least two classes")
            shown = self.classes_[1:] if len(self.classes_) == 2 and not self._both else self.classes_
            names = [f"class-{i}" for i in range(len(shown))]
            labels = np.column_stack([labels == each for each in shown])
        self.targets_ = names
        return pd.DataFrame((labels.astype(bool) & ~self.controls_[:, None]).astype(np.uint8), rows, names)

    def _frame(self, X: Any) -> pd.DataFrame:
        """Rows to predict, as a frame of the assay's columns."""
        if not self._own:
            return self._rows(validate_data(self, X, dtype=np.float64, reset=False))
        if not isinstance(X, pd.DataFrame):
            raise UserError(f"X: give a frame with the columns of {self._assay.name}")
        frame = X.drop(columns=SIG_ID, errors="ignore")
        if self._assay.control_columns == (_CONTROL,):
            frame = frame.assign(**{_CONTROL: _NO})
        return features_of(frame.set_axis(_ids(len(frame))), self._assay)

    def _rows(self, values: np.ndarray) -> pd.DataFrame:
        found = pd.DataFrame(values, pd.Index(_ids(len(values)), name=SIG_ID), self._assay.values)
        for column in self._assay.control_columns:
            found.insert(0, column, _NO)
        return found

    @property
    def _weights(self) -> Path:
        if self._folder is not None:
            return Path(self._folder.name)
        assert self.weights is not None
        return Path(self.weights)

    @property
    def _runtime(self) -> Runtime:
        return DeviceOptions(device=self.device).runtime

    def _trained(self) -> Trained:
        return open_trained(self._recipe(), self._weights, self._runtime, whole=False)

    def _recipe(self) -> Recipe:
        if isinstance(self.recipe, Recipe):
            return self.recipe
        found = recipes_of(self.recipe)
        if len(found) > 1:
            raise UserError(f"{self.recipe}: stands for {len(found)} models; name one, or train them with moa.train")
        return found[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.classifier_tags.multi_label = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """The parameters, and the weights where they lie in a temporary folder."""
        state = super().__getstate__() | {"_folder": None}
        if self.__dict__.get("_folder") is not None:
            files = (path for path in sorted(self._weights.rglob("*")) if path.is_file())
            state["_packed"] = {str(path.relative_to(self._weights)): path.read_bytes() for path in files}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        packed = state.pop("_packed", None)
        super().__setstate__(state)
        if packed is not None:
            self._folder = _temporary_folder()
            for name, content in packed.items():
                with replacing(self._weights / name) as temporary:
                    temporary.write_bytes(content)


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="moa-", ignore_cleanup_errors=True)


def _ids(count: int) -> list[str]:
    return [f"row-{number:07d}" for number in range(count)]


def _dataset(features: pd.DataFrame, scored: pd.DataFrame, drugs: pd.Series | None, assay: Assay) -> Dataset:
    """A data set that lies in memory alone."""
    none = pd.DataFrame(index=features.index)
    numbers = features[list(assay.values)].to_numpy(np.float64)
    others = features.drop(columns=list(assay.values)).astype(str).to_numpy().tolist()
    fingerprint = {
        TRAIN_FEATURES: digest(list(features), numbers, others),
        TRAIN_SCORED: digest(list(scored), scored.to_numpy()),
        TRAIN_NONSCORED: "",
        TEST_FEATURES: "",
        TRAIN_DRUG: "" if drugs is None else digest(drugs.tolist()),
    }
    return Dataset(features, scored, none, features.iloc[:0], drugs, None, fingerprint, assay)
