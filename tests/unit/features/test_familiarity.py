"""How familiar samples look: Mahalanobis distance, learned out of sample."""

import numpy as np
import pandas as pd
import pytest

from moa.errors import UserError
from moa.features.familiarity import FAR, LEAST_UNUSUAL, UNUSUAL, Familiarity
from support.field_data import bbbc021, field_data, l1000_plate


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


def permuted(values, rng):
    """Rows whose values are usual ones that do not belong together: each column of other rows."""
    return np.stack([rng.permutation(column) for column in values.T], axis=1)


def test_values_that_do_not_belong_together_are_unusual():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 60))
    compound = np.repeat(np.arange(80), 5)
    rows = rng.normal(size=(80, 6))[compound] @ mixing + 0.5 * rng.normal(size=(400, 60))
    train, new, mixed = rows[:300], rows[300:], permuted(rows[:300], rng)[:100]
    fitted = Familiarity().fit(train, compound[:300])
    share, below = fitted.unexplained(mixed).T
    assert (below > fitted.unusual_).mean() >= 0.9 and ((share > 0) & (share <= 1)).all()
    assert (fitted.unexplained(new)[:, 1] > fitted.unusual_).mean() <= 0.1, "wells of compounds that were held out"
    assert fitted.unusual_ == UNUSUAL


def test_where_few_columns_are_correlated_fewer_rows_are_usual():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(150, 3)) @ rng.normal(size=(3, 12)) + 1.5 * rng.normal(size=(150, 12))
    assert LEAST_UNUSUAL <= Familiarity().fit(rows).unusual_ < UNUSUAL


def nci60():
    """The viabilities of compounds whose mechanism five or more have, the median for missing ones."""
    values = pd.read_csv(field_data("nci60/drug_activity_zscore_for_1075drugs.csv"), index_col="nsc")
    values = values.select_dtypes("number")
    values = values.loc[:, values.notna().mean() >= 0.5]
    mechanism = pd.read_csv(field_data("nci60/drug_1075_public_v2_4_2.csv"), index_col="nsc")["mechanism"]
    counts = mechanism[mechanism.index.isin(values.index)].value_counts()
    values = values.loc[values.index.isin(mechanism.index[mechanism.isin(counts.index[counts >= 5])])]
    return values.fillna(values.median()), None, pd.DataFrame({"compound": values.index})


@pytest.mark.parametrize("plate", [l1000_plate, bbbc021])
def test_the_distance_alone_finds_hardly_any_of_them(plate):
    values = plate()[0].to_numpy()
    mixed = permuted(values, np.random.default_rng(0))[:100]
    assert (Familiarity().fit(values).transform(mixed)[:, 1] > FAR).mean() <= 0.1


@pytest.mark.parametrize("plate", [l1000_plate, bbbc021, nci60])
def test_real_wells_with_permuted_features_are_found(plate):
    values, _, known = plate()
    values, compound = values.to_numpy(), pd.factorize(known["compound"])[0]
    rng = np.random.default_rng(0)
    held = np.isin(compound, rng.choice(compound.max() + 1, (compound.max() + 1) // 4, replace=False))
    fitted = Familiarity().fit(values[~held], compound[~held])
    mixed = permuted(values[~held], rng)[:100]
    assert (fitted.unexplained(mixed)[:, 1] > fitted.unusual_).mean() >= 0.9
    assert (fitted.unexplained(values[held])[:, 1] > fitted.unusual_).mean() <= 0.1


def test_rows_are_measured_without_others_of_their_compound():
    rng = np.random.default_rng(1)
    compound = np.repeat(np.arange(30), 4)
    rows = rng.normal(size=(30, 40))[compound] + 0.1 * rng.normal(size=(120, 40))
    alone, together = (Familiarity().fit(rows, y).row_distances_ for y in (None, compound))
    assert len(together) == 120 and np.median(together) > 1.5 * np.median(alone)


def test_a_fit_of_an_earlier_version_says_nothing_of_patterns():
    fitted = Familiarity().fit(np.random.default_rng(0).normal(size=(20, 4)))
    del fitted.unexplained_
    assert fitted.unexplained(np.zeros((1, 4))) is None and fitted.transform(np.zeros((1, 4))).shape == (1, 2)
