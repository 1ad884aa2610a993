"""Tables of predictions."""

import numpy as np
import pandas as pd

COLUMNS = ["moa_a", "moa_b", "moa_c"]


def table(seed, rows=("r1", "r2", "r3", "r4")):
    return pd.DataFrame(np.random.default_rng(seed).random((len(rows), 3)), index=list(rows), columns=COLUMNS)
