"""Out-of-fold reliability by mechanism, counted by hand."""

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from moa.blending.reliability import EDGES, measured


def test_ranges_count_every_row_once_and_hits_are_labels():
    p = pd.DataFrame({"a": [0.0005, 0.001, 0.2, 0.2, 0.9], "b": [0.3, 0.299, 0.5, 0.02, 1.0]})
    y = pd.DataFrame({"a": [0, 0, 1, 0, 1], "b": [0, 0, 0, 0, 0]})
    found = measured(y, p)
    assert EDGES == (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5) and found.rows == 5 and found.share == 1
    assert found.counts.tolist() == [[1, 1, 0, 0, 0, 2, 0, 1], [0, 0, 0, 1, 0, 1, 1, 2]]
    assert found.hits.tolist() == [[0, 0, 0, 0, 0, 1, 0, 1], [0] * 8]
    assert found.table["positives"].tolist() == [2, 0]
    np.testing.assert_allclose(found.table.loc["a", "roc_auc"], roc_auc_score(y["a"], p["a"]))
    np.testing.assert_allclose(found.table.loc["a", "average_precision"], average_precision_score(y["a"], p["a"]))
    assert found.table.loc["b", ["roc_auc", "average_precision"]].isna().all()
