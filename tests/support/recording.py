"""Feature pipelines watched: what each transformer is fitted on."""

from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from moa.features import UMAPEmbedding
from moa.features.fits import NoStore


@dataclass(frozen=True)
class Fit:
    """One call of ``fit`` or ``fit_transform``: the transformer as it was before, and the values it was given."""

    transformer: object
    X: np.ndarray


class Recording(NoStore):
    """Keeps what is fitted, in order. UMAP, which takes long, is replaced by columns of its number of dimensions.

    Attributes:
        fits: one ``Fit`` per transformer.
    """

    def __init__(self):
        super().__init__()
        self.fits = []

    def fit(self, transformer, X, y=None):
        self.fits.append(Fit(transformer, np.array(X)))
        stand_in = Noise(transformer.n_components) if isinstance(transformer, UMAPEmbedding) else transformer
        return super().fit(stand_in, X, y)

    def fit_transform(self, transformer, X, y=None):
        self.fits.append(Fit(transformer, np.array(X)))
        return super().fit_transform(transformer, X, y)


class Noise(TransformerMixin, BaseEstimator):
    """Columns of noise, so that a variance threshold keeps them."""

    def __init__(self, n_components):
        self.n_components = n_components

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return 3 * np.random.default_rng(0).normal(size=(len(X), self.n_components))


def fits_of(pipeline, *frames):
    """Fit a pipeline to train and test, or to train alone; returns each step's ``Fit`` by name."""
    recording = Recording()
    if len(frames) == 2:
        pipeline.fit_transform(*frames, fits=recording)
    else:
        pipeline.fit(*frames, fits=recording)
    steps = [step.name for step in pipeline.fitted_ if step.transformer is not None]
    return dict(zip(steps, recording.fits, strict=True))
