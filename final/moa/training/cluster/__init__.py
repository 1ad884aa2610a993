"""Units and other work on the workers of a Dask cluster: any number of machines, and the same numbers.

The only part of the package that imports Dask, an extra (``pip install -e '.[cluster]'``). This process, the *driver*,
reads the data, fits the features, gives out units and alone writes the weights folder, so that no shared file system is
needed. A worker needs the same package, and nothing else.
"""

from moa.training.cluster.opening import open_cluster

__all__ = ["open_cluster"]
