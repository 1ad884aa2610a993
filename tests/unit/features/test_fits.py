"""Fits that are kept in memory."""

import numpy as np
from sklearn.preprocessing import StandardScaler

from moa.features.fits import NoStore

X = np.array([[1.0], [3.0]])


def test_a_clone_is_fitted_and_found_by_its_key():
    fits, scaler = NoStore(), StandardScaler()
    first, key = fits.fit(scaler, X, None)
    second, other = fits.fit(scaler, 10 * X, None)
    assert not hasattr(scaler, "mean_") and first.mean_ == 2 and second.mean_ == 20
    assert key != other and fits.load(key) is first and fits.load(other) is second


def test_fits_that_were_there_before_are_found():
    assert NoStore({"fit-7": "a fit"}).load("fit-7") == "a fit"
