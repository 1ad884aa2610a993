"""The batched softmax regressions are scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from moa.learners.profiles.softmax import fit_softmax


def problem(rows, features, classes, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, features)) * np.geomspace(1, 0.01, features)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    label = (X[:, :classes] + rng.normal(scale=0.3, size=(rows, classes))).argmax(axis=1)
    return X, label


def softmax(logits):
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(("rows", "features"), [(120, 30), (40, 90)], ids=["long", "wide"])
def test_each_regression_is_that_of_scikit_learn_on_its_own_rows(rows, features):
    X, label = problem(rows, features, 4)
    penalties = (0.5, 30.0, 300.0)
    used = np.ones((3, rows))
    used[0, :10], used[2, ::5] = 0, 0
    for penalty, found in zip(penalties, fit_softmax(X, np.eye(4)[label], used, penalties), strict=True):
        for place, inside in enumerate(used > 0):
            known = LogisticRegression(C=penalty, tol=1e-10, max_iter=10_000).fit(X[inside], label[inside])
            assert np.allclose(softmax(found.logits(X)[place]), known.predict_proba(X), atol=2e-5)
            coefficients = known.coef_ - known.coef_.mean(axis=0)
            assert np.allclose(found.coefficients[place], coefficients, atol=1e-3 * np.abs(coefficients).max())


def test_a_row_of_two_labels_counts_as_two_rows_and_one_of_none_not_at_all():
    X, label = problem(60, 10, 3)
    counts = np.eye(3)[label]
    counts[:5] += np.roll(np.eye(3)[label[:5]], 1, axis=1)
    counts[50:] = 0
    found = next(fit_softmax(X, counts, np.ones((1, 60)), [10.0]))
    row, which = np.nonzero(counts)
    known = LogisticRegression(C=10.0, tol=1e-10, max_iter=10_000).fit(X[row], which)
    assert len(row) == 55
    assert np.allclose(softmax(found.logits(X)[0]), known.predict_proba(X), atol=2e-5)


def test_a_regression_does_not_depend_on_those_beside_it_nor_on_the_path_to_its_penalty():
    X, label = problem(100, 20, 3)
    counts, used = np.eye(3)[label], np.ones((2, 100))
    used[1, ::4] = 0
    *_, both = fit_softmax(X, counts, used, [1.0, 300.0])
    alone = next(fit_softmax(X, counts, used[:1], [300.0]))
    assert np.allclose(softmax(both.logits(X)[0]), softmax(alone.logits(X)[0]), atol=1e-5)


def test_classes_and_sets_of_rows_without_labels_are_no_trouble():
    X, label = problem(30, 5, 3)
    counts, used = np.eye(4)[label], np.ones((3, 30))
    used[1, label == 1], used[2] = 0, 0
    for found in fit_softmax(X, counts, used, [3.0, 300.0]):
        p = softmax(found.logits(X))
        assert np.isfinite(p).all() and p[0, :, 3].max() < 1e-3 and p[1, :, 1].max() < 1e-3
        assert np.allclose(p[2], 0.25), "nothing is known"
