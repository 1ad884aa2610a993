"""The scaler of the DeepInsight CNNs against the published formula."""

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import check_estimator

from moa.features.log_scaler import LogScaler


def test_log_scaler_is_the_published_formula():
    train = np.array([[-2.0, 0.5, 7.0], [1.0, 3.0, 7.0], [0.0, 0.5, 7.0]])
    scaler = LogScaler().fit(train)
    top = max(np.log(1 + 2 + 1), np.log(3 + 0.5 + 1), np.log(7 + 7 + 1))  # a positive minimum is added as well
    expected = np.log(train + np.array([2, 0.5, 7]) + 1) / top
    np.testing.assert_allclose(scaler.transform(train), expected)
    unseen = scaler.transform(np.array([[-50.0, -1.0, 1e6]]))
    np.testing.assert_allclose(unseen, [[0.0, np.log(0.5 + 0.5 + 1) / top, 1.0]])
    assert (LogScaler().fit_transform(np.zeros((3, 2))) == 0).all()


@pytest.mark.filterwarnings("ignore:Estimator LogScaler does not inherit:UserWarning")
def test_log_scaler_keeps_the_estimator_contract_and_column_names():
    check_estimator(LogScaler())
    table = pd.DataFrame({"g-0": [-1.0, 2.0], "c-0": [0.0, 1.0]}, index=pd.Index(["a", "b"], name="sig_id"))
    assert list(LogScaler().fit(table).get_feature_names_out()) == ["g-0", "c-0"]
    with pytest.raises(ValueError, match="feature names"):
        LogScaler().fit(table).transform(table[["c-0", "g-0"]])
