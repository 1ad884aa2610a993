"""The winning solution of Kaggle's "Mechanisms of Action (MoA) Prediction", as one small package.

Data flows one way: files -> data -> features -> networks and engine -> predictions -> blend -> submission.csv.
"""

import os

# Threads of torch and scikit-learn that wait for others sleep. By default they spin, and starve whatever else wants the
# core. OpenMP reads this when torch is imported: every way into the package sets it first, and processes that it starts
# inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.2.0"
