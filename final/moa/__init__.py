"""The winning solution of Kaggle's "Mechanisms of Action (MoA) Prediction", as one small package.

Data flows one way: files -> data -> features -> networks and engine -> predictions -> blend -> submission.csv.
"""

__version__ = "0.2.0"
