"""Names of the files of a data set, and the columns and sizes of the competition's.

The names of the files and of the ``sig_id`` column are the project's own file format and always the same. The rest is
for ``moa.data.assay.COMPETITION`` and for the synthetic data: other code receives an ``Assay`` and names no column.
"""

from __future__ import annotations

SIG_ID = "sig_id"

TRAIN_FEATURES = "train_features.csv"
TEST_FEATURES = "test_features.csv"
TRAIN_SCORED = "train_targets_scored.csv"
TRAIN_NONSCORED = "train_targets_nonscored.csv"
TRAIN_DRUG = "train_drug.csv"
SAMPLE_SUBMISSION = "sample_submission.csv"
#: Optional: what else is known about the rows, such as plate, well and compound.
WELLS = "wells.csv"
#: The name that drug_id of train_drug.csv has among the columns that describe rows.
COMPOUND = "compound"

CP_TYPE, CP_TIME, CP_DOSE = "cp_type", "cp_time", "cp_dose"
TREATED, CONTROL = "trt_cp", "ctl_vehicle"
CP_TIMES, CP_DOSES = (24, 48, 72), ("D1", "D2")
GENES = tuple(f"g-{i}" for i in range(772))
CELLS = tuple(f"c-{i}" for i in range(100))
N_SCORED, N_NONSCORED = 206, 402
#: Smallest and largest value of a gene or cell: z-scores clipped by the organisers.
VALUE_RANGE = (-10.0, 10.0)

# Sizes of the public competition files. The hidden test set was larger, so nothing may depend on them.
TRAIN_ROWS = 23_814
TEST_ROWS = 3_982
