"""Steps over the control column and the conditions."""

import numpy as np
import pandas as pd

from moa.data.assay import COMPETITION
from moa.features.condition_steps import encode_conditions, keep_treated, log_conditions
from moa.features.pipeline import FeaturePipeline

FRAME = pd.DataFrame(
    {"cp_type": ["trt_cp", "ctl_vehicle", "trt_cp"], "cp_time": [24, 48, 72], "cp_dose": ["D1", "D1", "D2"]},
    index=["id_0", "id_1", "id_2"],
)


def test_controls_go_and_levels_become_columns():
    pipeline = FeaturePipeline([keep_treated(COMPETITION), *encode_conditions(COMPETITION)])
    pipeline.fit(FRAME)
    found = pipeline.transform(FRAME)
    assert list(found.index) == ["id_0", "id_2"]
    assert list(found) == ["cp_time_24", "cp_time_48", "cp_time_72", "cp_dose_D1", "cp_dose_D2"]
    np.testing.assert_array_equal(found, [[1, 0, 0, 1, 0], [0, 0, 1, 0, 1]])


def test_an_assay_without_numeric_conditions_has_no_logarithm():
    assert log_conditions(COMPETITION) == []
