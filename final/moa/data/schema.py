"""The competition's schema, in one place: file names, columns, categories and row counts."""

from __future__ import annotations

SIG_ID = "sig_id"
CP_TYPE, CP_TIME, CP_DOSE = "cp_type", "cp_time", "cp_dose"

TREATED, CONTROL = "trt_cp", "ctl_vehicle"
CP_TYPES = (CONTROL, TREATED)
CP_TIMES = (24, 48, 72)
CP_DOSES = ("D1", "D2")

GENES = tuple(f"g-{i}" for i in range(772))
CELLS = tuple(f"c-{i}" for i in range(100))
CONDITIONS = (CP_TYPE, CP_TIME, CP_DOSE)
FEATURES = (*CONDITIONS, *GENES, *CELLS)

N_SCORED = 206
N_NONSCORED = 402

TRAIN_FEATURES = "train_features.csv"
TEST_FEATURES = "test_features.csv"
TRAIN_SCORED = "train_targets_scored.csv"
TRAIN_NONSCORED = "train_targets_nonscored.csv"
TRAIN_DRUG = "train_drug.csv"
SAMPLE_SUBMISSION = "sample_submission.csv"

# Sizes of the public competition files. The hidden test set was larger: nothing may depend on these.
TRAIN_ROWS = 23_814
TEST_ROWS = 3_982
