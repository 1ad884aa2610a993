"""The features of the single models written out once more: plain pandas and scikit-learn, a column at a time.

Nothing of ``moa.features`` is used. Each function takes the training and the test table with their control rows, fits
everything with these in, and drops them at the end. Columns are named as in the package and stand in the original's
order. UMAP's columns are stood in for by ``stand_in``.
"""

import warnings

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.preprocessing import QuantileTransformer

GENES = [f"g-{i}" for i in range(772)]
CELLS = [f"c-{i}" for i in range(100)]


def ranked(train, test, columns, seed, fit_on_test):
    """Both tables with the columns' normal scores in place of their values."""
    new_train, new_test = {}, {}
    for column in columns:
        fitted_on = pd.concat([train[column], test[column]]) if fit_on_test else train[column]
        transformer = QuantileTransformer(
            n_quantiles=100, output_distribution="normal", subsample=100_000, random_state=seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            transformer.fit(fitted_on.to_numpy().reshape(-1, 1))
        for table, new in ((train, new_train), (test, new_test)):
            new[column] = transformer.transform(table[column].to_numpy().reshape(-1, 1)).ravel()
    return tuple(
        table.drop(columns=columns).join(pd.DataFrame(new, table.index))[list(table.columns)]
        for table, new in ((train, new_train), (test, new_test))
    )


def with_factors(train, test, columns, count, seed, name):
    """Both tables with factors of the columns at the right, fitted on both."""
    factors = FactorAnalysis(n_components=count, random_state=seed)
    factors.fit(pd.concat([train[columns], test[columns]]).to_numpy())
    return tuple(_append(table, factors.transform(table[columns].to_numpy()), name) for table in (train, test))


def with_components(train, test, columns, count, seed, name):
    """Both tables with principal components of the columns at the right, fitted on train alone."""
    components = PCA(n_components=count, random_state=seed, svd_solver="randomized").fit(train[columns].to_numpy())
    return tuple(_append(table, components.transform(table[columns].to_numpy()), name) for table in (train, test))


def stand_in(values, count):
    """Columns in the place of UMAP's, to compare where these stand: as many, and of a variance above any threshold."""
    return 10 * values[:, :count]


def with_places(train, test, columns, count, name):
    """Both tables with stand-ins of the columns' UMAP at the right."""
    return tuple(_append(table, stand_in(table[columns].to_numpy(), count), name) for table in (train, test))


def with_clusters(train, test, columns, count, seed, name):
    """Both tables with the columns' cluster as 0/1 columns at the right, fitted on both."""
    both = pd.concat([train[columns], test[columns]]).to_numpy()
    labels = KMeans(n_clusters=count, random_state=seed, n_init=10, algorithm="elkan").fit(both).labels_
    one_hot = np.zeros((len(both), count))
    one_hot[np.arange(len(both)), labels] = 1
    return _append(train, one_hot[: len(train)], name), _append(test, one_hot[len(train) :], name)


def with_statistics(table, genes, cells, names):
    """A table with statistics of each row over genes, cells and both at the right."""
    new = {}
    for group, columns in (("g", genes), ("c", cells), ("gc", genes + cells)):
        for name in names:
            new[f"{group}_{name}"] = getattr(table[columns], name)(axis=1)
    return table.join(pd.DataFrame(new))


def treated(table):
    """Treated rows, without the treatment's column."""
    return table[table["cp_type"] == "trt_cp"].drop(columns="cp_type")


def one_hot_conditions(table):
    """Time and dose as 0/1 columns."""
    table = pd.get_dummies(table, columns=["cp_time", "cp_dose"])
    return table.astype(np.float64)


def simple_nn(train, test, new_cv):
    """Simple NN: the treated rows' network inputs of train and test.

    Positions count sig_id as the first column. The old CV's table has cp_type, cp_time, cp_dose and g-0 after it, so
    that ranking from the sixth column on loses g-0; the new CV's has a column of drugs more.
    """
    before = ["sig_id", "drug"] if new_cv else ["sig_id"]
    train, test = (
        pd.concat([pd.DataFrame({name: table.index for name in before}, table.index), table], axis=1)
        for table in (train, test)
    )
    train, test = ranked(train, test, GENES + CELLS, 123 if new_cv else 0, fit_on_test=False)
    train, test = with_factors(train, test, GENES, 90, 1903, "g-fa")
    train, test = with_factors(train, test, CELLS, 50, 1903, "c-fa")
    values = list(train.columns[5:])
    conditions = ["sig_id", "cp_type", "cp_time", "cp_dose"]
    train, test = ranked(train, test, values, 123, fit_on_test=True)
    train, test = train[conditions + values], test[conditions + values]
    genes, cells = values[:772], values[772:872]
    if not new_cv:
        train, test = with_clusters(train, test, genes, 45, 123, "g-cluster")
        train, test = with_clusters(train, test, cells, 15, 123, "c-cluster")
    names = ("sum", "mean", "std", "kurtosis", "skew")
    return tuple(
        one_hot_conditions(treated(with_statistics(table, genes, cells, names)).drop(columns="sig_id"))
        for table in (train, test)
    )


def three_stage(train, test, predictions=None):
    """Stages 1 and 2 of the 3-stage NN; ``predictions`` of stage 1 for treated rows make it stage 2."""
    raw_train, raw_test = train, test
    train, test = ranked(train, test, GENES + CELLS, 123, fit_on_test=True)
    for columns, group, factors, places in ((GENES, "g", 90, 45), (CELLS, "c", 50, 25)):
        raw = with_factors(raw_train[columns], raw_test[columns], columns, factors, 1903, f"{group}-fa")
        new = with_places(*raw, columns, places, f"{group}-umap")
        train, test = (table.join(each.drop(columns=columns)) for table, each in zip((train, test), new, strict=True))
    train, test = one_hot_conditions(treated(train)), one_hot_conditions(treated(test))
    return _joined(train, test, predictions) if predictions else (train, test)


def third_stage(predictions):
    """Stage 3 of the 3-stage NN: nothing but the ranked predictions of stage 2."""
    train, test = predictions
    return ranked(train, test, list(train.columns), 0, fit_on_test=False)


def two_stage_first(train, test):
    """Stage 1 of the 2-stage NN + TabNet."""
    train, test = ranked(train, test, GENES + CELLS, 0, fit_on_test=True)
    for columns, group, components, places in ((GENES, "g", 50, 15), (CELLS, "c", 15, 5)):
        train, test = with_components(train, test, columns, components, 512, f"{group}-pca")
        train, test = with_places(train, test, columns, places, f"{group}-umap")
    numbers = [column for column in train if not column.startswith("cp_")]
    kept = ["cp_type", "cp_time", "cp_dose", *(column for column in numbers if train[column].var(ddof=0) > 0.5)]
    return tuple(one_hot_conditions(treated(table[kept])) for table in (train, test))


def tabnet(train, test, predictions):
    """Stage 2 of the 2-stage NN + TabNet; ``predictions`` of stage 1 for treated rows."""
    train, test = ranked(train, test, GENES + CELLS, 0, fit_on_test=False)
    train, test = with_factors(train, test, GENES, 90, 42, "g-fa")
    train, test = with_factors(train, test, CELLS, 50, 42, "c-fa")
    train, test = with_clusters(train, test, GENES, 35, 123, "g-cluster")
    train, test = with_clusters(train, test, CELLS, 5, 123, "c-cluster")
    train, test = (
        treated(with_statistics(table, GENES, CELLS, ("mean", "std", "kurtosis", "skew"))) for table in (train, test)
    )
    codes = {"cp_time": {24: 0, 48: 1, 72: 2}, "cp_dose": {"D1": 0, "D2": 1}}
    train, test = (table.assign(**{c: table[c].map(code) for c, code in codes.items()}) for table in (train, test))
    return _joined(train, test, predictions)


def two_heads(train, others, seed, with_conditions, gene_count, cell_count, selected):
    """Both inputs of the 2-heads nets: the treated rows of a fold's training part and other rows, of two tables.

    The components of training rows are what the solver itself returns for them.
    """
    train, others = treated(train), treated(others)
    first_train, first_others = (one_hot_conditions(table) for table in (train, others))
    conditions = [column for column in first_train if column.startswith("cp_")] if with_conditions else []
    first, second = [], []
    for table, first_table in ((train, first_train), (others, first_others)):
        means = pd.DataFrame({"g_mean": table[GENES].mean(axis=1), "c_mean": table[CELLS].mean(axis=1)})
        first.append(first_table[GENES + CELLS + conditions].join(means))
        second.append(table[selected])
    first, second = _standardised(*first), _standardised(*second)
    for columns, count, name in ((GENES, gene_count, "g-pca"), (CELLS, cell_count, "c-pca")):
        pca = PCA(n_components=count, random_state=seed, svd_solver="randomized")
        components = pca.fit_transform(first[0][columns].to_numpy()), pca.transform(first[1][columns].to_numpy())
        first = [_append(table, values, name) for table, values in zip(first, components, strict=True)]
    return first, second


def _standardised(train, others):
    """Both tables in units of the training rows' deviation; a column that is constant there is only centred."""
    deviation = train.std(ddof=0).replace(0, 1)
    return [(table - train.mean()) / deviation for table in (train, others)]


def _append(table, values, name):
    columns = [f"{name}-{i}" for i in range(values.shape[1])]
    return table.join(pd.DataFrame(values, table.index, columns))


def _joined(train, test, predictions):
    """The tables with ranked predictions of an earlier stage at the right."""
    ranks = third_stage(predictions)
    return train.join(ranks[0]), test.join(ranks[1])
