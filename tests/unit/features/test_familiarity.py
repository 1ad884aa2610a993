"""How familiar samples look: Mahalanobis distance, learned out of sample."""

import numpy as np
import pytest

from moa.errors import UserError
from moa.features.familiarity import Familiarity


def test_familiarity_is_mahalanobis_and_learned_out_of_sample():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 30))
    draw = lambda rows: rng.normal(size=(rows, 6)) @ mixing + 0.3 * rng.normal(size=(rows, 30)) + 5  # noqa: E731
    x, new = draw(600), draw(2000)
    fitted = Familiarity(n_components=6).fit(x)
    share = fitted.transform(new)[:, 1]
    assert abs(share.mean() - 0.5) < 0.04 and abs((share > 0.9).mean() - 0.1) < 0.03
    away = new.copy()
    away[:, 0] += 5  # a usual value, but not together with the other columns
    assert (fitted.transform(away)[:, 1] > 0.99).mean() > 0.95

    whole = Familiarity(n_components=30).fit(x)
    z = (x - x.mean(0)) / x.std(0)
    exact = np.sqrt(np.einsum("ij,jk,ik->i", z, np.linalg.inv(np.cov(z.T)), z))
    np.testing.assert_allclose(whole.transform(x)[:, 0], exact, rtol=1e-3)
    with pytest.raises(UserError, match="9 rows are too few"):
        Familiarity().fit(x[:9])
