"""3-stage NN, 5 folds: predict from trained weights; writes OOF and test predictions and submission.csv.

    python "final/Best LB/Inference/three-stage-nn-5fold.py" --data DIR --weights DIR --out DIR

To predict new plates, put your own test_features.csv into the data folder, with any number of rows in any order.
Nothing is fitted: ranks, factors, UMAP and the networks of all three stages are read from the weights folder.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the package, if it is not installed

from moa.cli import inference_app  # noqa: E402

if __name__ == "__main__":
    inference_app("three-stage-nn-5fold")
