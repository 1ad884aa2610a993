"""From test_features.csv to submission.csv as a notebook of 2020 did it, as a process to compare with.

Run by the benchmarks on files that they have just written:
``python -m tests.benchmarks.notebook_inference DATA FITS OUT DEVICE``.
One pickled transformer per column; the training table is transformed again together with the test table, because some
steps look at both; statistics by pandas; members are read and run one after another, through a DataLoader of single
rows. Never run it on files of unknown origin: unpickling them can execute anything.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tests.benchmarks.notebook import predict


def read(data: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Treated rows of the training and of the test features, and the sample submission."""
    train, test = pd.read_csv(data / "train_features.csv"), pd.read_csv(data / "test_features.csv")
    train, test = (table[table["cp_type"] != "ctl_vehicle"].reset_index(drop=True) for table in (train, test))
    return train, test, pd.read_csv(data / "sample_submission.csv")


def features(train: pd.DataFrame, test: pd.DataFrame, fits: Path) -> pd.DataFrame:
    """Transform both tables with the pickled fits.

    Returns:
        the test table: sig_id first, then the model's columns in order.
    """
    train, test = train.drop(columns="cp_type"), test.drop(columns="cp_type")
    genes = [column for column in train if column.startswith("g-")]
    cells = [column for column in train if column.startswith("c-")]
    for column in genes + cells:
        _rank(fits / f"rank_{column}.pkl", column, train, test)
    for name, columns in (("g-fa", genes), ("c-fa", cells)):
        both = _unpickle(fits / f"{name}.pkl").transform(pd.concat([train[columns], test[columns]]).to_numpy())
        names = [f"{name}-{i}" for i in range(both.shape[1])]
        parts = np.split(both, [len(train)])
        train, test = (
            pd.concat([table, pd.DataFrame(part, columns=names)], axis=1)
            for table, part in zip((train, test), parts, strict=True)
        )
    for column in train.columns[3:]:
        _rank(fits / f"second_{column}.pkl", column, train, test)
    train, test = train.copy(), test.copy()  # one block of memory again, after a thousand columns were written
    for table in (train, test):
        for name in ("sum", "mean", "std", "kurtosis", "skew"):
            for group, columns in (("g", genes), ("c", cells), ("gc", genes + cells)):
                table[f"{group}_{name}"] = getattr(table[columns], name)(axis=1)
    train = pd.get_dummies(train, columns=["cp_time", "cp_dose"], dtype=float)
    test = pd.get_dummies(test, columns=["cp_time", "cp_dose"], dtype=float)
    return test[["sig_id", *json.loads((fits / "columns.json").read_text())]]


def _rank(path: Path, column: str, train: pd.DataFrame, test: pd.DataFrame) -> None:
    transformer = _unpickle(path)
    for table in (train, test):
        table[column] = transformer.transform(table[column].to_numpy().reshape(-1, 1)).ravel()


def _unpickle(path: Path) -> object:
    with path.open("rb") as file:
        return pickle.load(file)


def main(data: Path, fits: Path, out: Path, device: str) -> None:
    """Write ``out``: the mean over all members, 0 for controls."""
    train, test, sample = read(data)
    table = features(train, test, fits)
    X = table.drop(columns="sig_id").to_numpy(np.float32)
    settings = json.loads((fits / "settings.json").read_text())
    members = sorted(fits.glob("member-*.pt"))
    total = sum(
        predict(torch.load(path), X, torch.device(device), settings["batch_size"], settings["dropout"])
        for path in members
    )
    targets = list(sample.columns[1:])
    found = pd.DataFrame(total / len(members), columns=targets)
    found.insert(0, "sig_id", test["sig_id"])
    sample = sample[["sig_id"]].merge(found, on="sig_id", how="left").fillna(0)
    sample.to_csv(out, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
