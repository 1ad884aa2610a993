"""A trained model, or the trained members of a blend, in memory: predictions, answers for compounds, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial, reduce
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from moa.blending.answers import pooled_answers, rank_mechanisms
from moa.blending.blend import BlendSpec, apply_blend
from moa.blending.reliability import Reliability, reliability
from moa.data.assay import Assay
from moa.data.checks import check_features
from moa.data.dataset import read_features
from moa.data.parts import is_features_file
from moa.data.problems import Problems
from moa.data.schema import COMPOUND, SIG_ID
from moa.data.wells import TREATMENT
from moa.errors import DataError, UserError
from moa.importing.annotated import AnnData
from moa.jobs.options import PlateOptions
from moa.jobs.plate_exports import obs_columns
from moa.weights.trained import Trained

#: Rows of features, a file, or an AnnData object.
Features: TypeAlias = pd.DataFrame | Path | str | AnnData


class Model:
    """A trained model, or the trained members of a blend, ready to predict; ``moa.load`` makes it.

    Attributes:
        spec: its members and their weights; a single model is a blend of one.
        members: the trained members by name.
        reliability: how reliable the model was out of fold, in tables of one row for each target or training row; None
            for weights without labels.
    """

    def __init__(self, spec: BlendSpec, members: Mapping[str, Trained]):
        self.spec, self.members = spec, dict(members)

    def __repr__(self) -> str:
        return f"<moa.Model {self.spec.name}: {', '.join(self.members)}>"

    @property
    def _first(self) -> Trained:
        return next(iter(self.members.values()))

    @property
    def assay(self) -> Assay:
        """What the features must be: groups, conditions and controls."""
        return self._first.schema

    @property
    def targets(self) -> list[str]:
        """Names of the scored targets, in the order of the training file."""
        return self._first.targets

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The settings that each member was trained with, by name."""
        return {name: each.config.model_dump(mode="json") for name, each in self.members.items()}

    def predict(
        self,
        features: Features,
        quiet: bool = True,
        *,
        wells: Sequence[Path | str] = (),
        level: str | None = None,
        mapping: Path | str | None = None,
        fill_missing: float | None = None,
        raw: bool = False,
    ) -> pd.DataFrame:
        """Probabilities of all targets; nothing is fitted, so a row's result does not depend on the others.

        Args:
            features: rows as in ``test_features.csv``, in any order, with ``sig_id`` as a column or as the index, or
                the path of such a file; columns of the assay may come in any order. Or a laboratory's own plate, as
                ``moa predict --features`` takes it: the path of a file (GCT, GCTX, profiles, ``.h5ad``), or an AnnData
                object (whatever has ``X``, ``obs`` and ``var``).
            quiet: show no progress, and not what was guessed of a laboratory's plate.
            wells: plate maps to join to a laboratory's plate.
            level: what the plate holds, as for ``moa data import``; None: recognised by its values.
            mapping: a ``mapping.yaml``, or settings of one alone; None: how the training's plates were read.
            fill_missing: value of features that the plate lacks; None: such plates are refused.
            raw: as the members give them; outside of the competition they are calibrated otherwise.

        Returns:
            shape (rows, targets), indexed by sig_id in the order of the rows; control rows are exactly 0.

        Raises:
            DataError: lists what is wrong with the rows, by column and row.
            UserError: a laboratory's plate cannot be read, or lacks what the model takes.
        """
        options = PlateOptions(
            wells=tuple(map(Path, wells)), level=level, mapping=mapping and Path(mapping), fill_missing=fill_missing
        )
        rows = self._plate(features, options, quiet)
        rows = features_of(features, self.assay) if rows is None else rows
        return self._mixed({name: each.predict(rows, quiet, raw) for name, each in self.members.items()})

    def _plate(self, features: Features, options: PlateOptions, quiet: bool) -> pd.DataFrame | None:
        """A laboratory's own plate as rows of the model; None for a table or file of rows."""
        features = Path(features) if isinstance(features, str) else features
        if isinstance(features, pd.DataFrame) or (
            isinstance(features, Path) and is_features_file(features, self.assay)
        ):
            if options.of_laboratory:
                raise UserError(
                    "rows with sig_id: wells, level, mapping and fill_missing are for a laboratory's own plates"
                )
            return None
        from moa.jobs.plates import laboratory_rows, print_notes

        found = laboratory_rows(features, self._first, options)
        if not quiet:
            print_notes(found.notes)
        return features_of(found.features, self.assay)

    def oof(self, raw: bool = False) -> pd.DataFrame:
        """Out-of-fold predictions of the training rows that all members cover, shape (rows, targets).

        They are calibrated outside of the competition, each fold by what the other folds choose, unless ``raw``.
        """
        tables = {name: each.oof() if raw else each.calibrated_oof() for name, each in self.members.items()}
        rows = reduce(partial(pd.Index.intersection, sort=False), (table.index for table in tables.values()))
        return self._mixed({name: table.loc[rows] for name, table in tables.items()})

    @cached_property
    def reliability(self) -> Reliability | None:
        """How reliable the model was out of fold, by mechanism and by compound; None for weights without labels."""
        return reliability(self.spec, list(self.members.values()))

    @property
    def _prevalence(self) -> pd.Series | None:
        return next((found for each in self.members.values() if (found := each.prevalence()) is not None), None)

    @property
    def _cautions(self) -> pd.Series | None:
        return None if self.reliability is None else self.reliability.trust.cautions

    def ranked(self, predictions: pd.DataFrame, top: int = 10) -> pd.DataFrame:
        """The likeliest mechanisms of each row, as the table ``ranked`` of ``moa predict --features``.

        Args:
            predictions: as from ``predict``; rows of zeros, which are controls, are left out.
            top: mechanisms of a row.

        Returns:
            sig_id, rank from 1, moa, probability, times_prevalence, and caution: why the mechanism deserves less trust.
        """
        treated = predictions.to_numpy().any(axis=1)
        return rank_mechanisms(predictions[treated], self._prevalence, top, self._cautions)

    def obs(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """Columns for ``obs`` of AnnData: ``adata.obs.join(model.obs(model.predict(adata)))``.

        ``predictions`` are as from ``predict``. The columns are moa_1, moa_1_probability, moa_1_caution, moa_2 and so
        on, empty for controls; indexed as ``predictions``.
        """
        return obs_columns(self.ranked(predictions), pd.DataFrame(index=predictions.index))

    def answers(
        self,
        predictions: pd.DataFrame,
        compounds: pd.Series | Sequence[str],
        treatments: pd.Series | Sequence[str] | None = None,
        top: int = 10,
    ) -> dict[str, pd.DataFrame]:
        """One answer for each compound and treatment, the mean of its wells' evidence; and compounds by mechanism.

        Wells that were in training, or whose compound was, are answered by the out-of-fold predictions.

        Args:
            predictions: as from ``predict``; rows of zeros, which are controls, are left out.
            compounds: of the rows, shape (rows,); a series by sig_id, or in the order of the rows.
            treatments: likewise, such as a compound at a dose; None: the compounds.
            top: mechanisms of a compound.

        Returns:
            the tables "compounds", "treatments" and "mechanisms", as ``moa predict --features`` writes them.

        Raises:
            UserError: there is not a compound or treatment for each row, or no row has one.
        """
        wells = pd.DataFrame(index=predictions.index)
        for name, values in ((COMPOUND, compounds), (TREATMENT, compounds if treatments is None else treatments)):
            if len(values) != len(predictions):
                raise UserError(f"{name}s: {len(values)} for {len(predictions)} rows of predictions")
            wells[name] = values.reindex(predictions.index) if isinstance(values, pd.Series) else list(values)
        treated = predictions.to_numpy().any(axis=1)
        found = pooled_answers([(predictions[treated], wells[treated])], self.reliability)
        if found is None:
            raise UserError("compounds: no treated row has one; give a name for each row")
        return found.tables(self._prevalence, top, self._cautions)

    def _mixed(self, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        found = apply_blend(self.spec, tables, "renormalise") if len(tables) > 1 else tables[next(iter(tables))]
        return found.astype(np.float32)

    def history(self) -> pd.DataFrame:
        """Learning curves, one row per epoch: model, stage, seed, fold, epoch, train_loss, valid_loss and others."""
        parts = [each.history().assign(model=name) for name, each in self.members.items()]
        table = pd.concat(parts, ignore_index=True)
        return table[["model", *(column for column in table if column != "model")]]


def features_of(features: pd.DataFrame | Path | str, assay: Assay) -> pd.DataFrame:
    """Checked features of an assay: columns ``assay.features``, indexed by sig_id in the order given.

    ``features`` is a table with sig_id as a column or as the index, or the path of a file.

    Raises:
        DataError: lists the problems.
    """
    if not isinstance(features, pd.DataFrame):
        return read_features(Path(features), assay)
    if not len(features):
        raise DataError(["features: the table has no rows"])
    ids = features[SIG_ID] if SIG_ID in features.columns else features.index
    known = set(assay.features)
    rows = features[[column for column in features.columns if column in known]].reset_index(drop=True)
    table, problems = pd.concat([pd.Series(np.asarray(ids.astype(str)), name=SIG_ID), rows], axis=1), Problems()
    found = check_features("features", table, problems, assay)
    if problems:
        raise DataError(problems)
    return found
