"""Missing values, normalising, selecting and merging."""

import numpy as np
import pandas as pd
import pytest

from moa.errors import UserError
from moa.importing import normalise as steps
from moa.importing.design import FILE, Design
from moa.importing.levels import decide_levels
from moa.importing.mapping import File, Mapping
from moa.importing.merge_replicates import merge_replicates
from moa.importing.missing import drop_constant, drop_missing, fill_missing
from moa.importing.normalise import robust_z, select_features
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles


def made(values, controls=(), plates=None, kind="profiles", **columns):
    values = pd.DataFrame(np.asarray(values, dtype=float))
    values.index = [f"w{number}" for number in range(len(values))]
    values.columns = [f"Cells_{number}" for number in range(values.shape[1])]
    table = pd.DataFrame(index=values.index)
    table["plate"] = ["P"] * len(values) if plates is None else plates
    table["group"] = table["plate"]
    table["cp_type"] = ["ctl_vehicle" if number in controls else "trt_cp" for number in range(len(values))]
    table["compound"], table["dose"], table["time"] = "a", 1.0, 24.0
    table["dose_level"] = table["time_level"] = np.nan
    for name, column in columns.items():
        table[name] = column
    features = pd.DataFrame({"group": "features"}, index=values.columns)
    wells = pd.DataFrame({FILE: "plate", "det_well": values.index}, index=values.index)
    return Profiles(values, wells, features, kind), Design(table, {"compound": "pert_iname"}, "µM", "h")


def normalise(profiles, design, options, notes):
    """The values at the level that is decided for them."""
    mapping = Mapping(files=(File(name="plate"),))
    _, level = decide_levels(mapping, profiles, design, options, notes)
    return steps.normalise(profiles, design, level, options, notes)


def noted(notes):
    return "\n".join(notes.lines(100))


# -- missing values ---------------------------------------------------------------------------------------------------


def test_dead_wells_and_dead_features_are_dropped_and_named():
    values = np.arange(400.0).reshape(20, 20)
    values[3] = np.nan  # a dead well
    values[:, 7] = np.nan  # a dead feature
    values[5, 2] = np.nan  # one missing value
    notes = Notes()
    profiles, design = drop_missing(*made(values), 0.06, notes)
    assert profiles.values.shape == (19, 19) and list(design.table.index) == list(profiles.values.index)
    assert "dropped: 1 well with more than 6% missing values: w3" in noted(notes)
    assert "dropped: 1 feature with more than 6% missing values: Cells_7" in noted(notes)
    filled = fill_missing(profiles, design.table["plate"], notes)
    assert filled.values.loc["w5", "Cells_2"] == np.nanmedian(profiles.values["Cells_2"])
    assert "1 missing value in 1 well filled with the feature's median over the plate" in noted(notes)
    assert not filled.values.isna().any(axis=None)


def test_missing_values_are_filled_plate_by_plate():
    values = np.array([[1.0], [3.0], [np.nan], [10.0], [np.nan], [20.0]])
    profiles, design = made(values, plates=["a"] * 3 + ["b"] * 3)
    filled = fill_missing(profiles, design.table["plate"], Notes())
    assert filled.values["Cells_0"].tolist() == [1, 3, 2, 10, 15, 20]


def test_nothing_is_reported_where_nothing_is_missing():
    notes = Notes()
    profiles, design = drop_missing(*made(np.ones((3, 2))), 0.05, notes)
    fill_missing(profiles, design.table["plate"], notes)
    assert not notes


def test_zero_tolerance_drops_every_feature_with_a_missing_value():
    values = np.arange(12.0).reshape(4, 3)
    values[[0, 1], 1] = np.nan
    profiles, _ = drop_missing(*made(values), 0.0, Notes())
    assert list(profiles.values) == ["Cells_0", "Cells_2"] and len(profiles.values) == 4


def test_constant_features():
    notes = Notes()
    profiles, _ = made([[1, 2], [1, 3], [1, 4]])
    assert list(drop_constant(profiles, notes).values) == ["Cells_1"] and "Cells_0" in noted(notes)


# -- normalising ------------------------------------------------------------------------------------------------------


def test_robust_z_by_hand():
    values = np.array([[1.0, 5.0], [2.0, 5.01], [4.0, 5.02], [np.nan, 9.0]])
    found = robust_z(values, np.array([True, True, True, False]))
    # Medians 2 and 5.01; median absolute deviations 1 and 0.01, which counts as 0.1.
    expected = (values - [2, 5.01]) / (1.4826 * np.array([1, 0.1]))
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(("vehicle", "against"), [(6, "vehicle"), (5, "plate")])
def test_expression_is_compared_with_vehicle_wells_where_there_are_enough(vehicle, against):
    random = np.random.default_rng(0)
    values = random.uniform(4, 12, 50) + random.normal(scale=0.5, size=(20, 50))
    notes = Notes()
    profiles, design = made(values, range(vehicle), kind="expression")
    found, z_scores = normalise(profiles, design, ImportOptions(clip=None), notes)
    reference = np.arange(20) < vehicle if against == "vehicle" else np.ones(20, bool)
    np.testing.assert_allclose(found.values.to_numpy(), robust_z(values, reference))
    assert z_scores and "level 3" in noted(notes)
    assert ("the plate's vehicle wells" if against == "vehicle" else "fewer than 6 vehicle wells") in noted(notes)


@pytest.mark.parametrize("name", ["a\0b", "Metadata_reference"])
def test_features_of_any_name_are_standardised(name):
    """pandas' query, which pycytominer uses, ends in an error for the first one with pandas 2 on Python 3.13."""
    profiles, design = made(np.random.default_rng(0).normal(3, 2, (8, 2)), range(4))
    expected, _ = normalise(profiles, design, ImportOptions(), Notes())
    profiles.values.columns = [name, "Cells_1"]
    found, _ = normalise(profiles, design, ImportOptions(), Notes())
    np.testing.assert_array_equal(found.values.to_numpy(), expected.values.to_numpy())


def test_z_scores_made_here_are_clipped_and_others_are_not():
    random = np.random.default_rng(0)
    values = random.uniform(4, 12, 50) + random.normal(scale=0.5, size=(20, 50))
    values[10, 0] += 15
    notes = Notes()
    found, _ = normalise(*made(values, range(6), kind="expression"), ImportOptions(), notes)
    assert found.values.to_numpy().max() == 10 and "clipped to ±10" in noted(notes)
    scores = random.normal(size=(20, 50)) * 3
    scores[0, 0] = 30
    notes = Notes()
    kept, z_scores = normalise(*made(scores, range(6), kind="expression"), ImportOptions(), notes)
    assert z_scores and kept.values.to_numpy().max() == 30
    assert "level 4 or 5" in noted(notes) and "lie beyond ±10; they are kept" in noted(notes)


def test_each_plate_is_compared_with_its_own_wells():
    random = np.random.default_rng(0)
    values = random.uniform(4, 12, 50) + random.normal(scale=0.5, size=(40, 50))
    values[20:] += 2
    profiles, design = made(values, [*range(8), *range(20, 28)], ["a"] * 20 + ["b"] * 20, "expression")
    found, _ = normalise(profiles, design, ImportOptions(), Notes())
    centres = found.values[design.controls].groupby(design.table["plate"][design.controls]).median()
    assert np.abs(centres.to_numpy()).max() < 1e-9


@pytest.mark.parametrize("wells", [1, 2, 3])
def test_a_plate_of_two_wells_is_too_small_to_compare_with(wells):
    profiles, design = made(np.arange(2.0 * wells).reshape(wells, 2) ** 2, [], kind="expression")
    if wells < 3:
        with pytest.raises(UserError, match=f"has {wells} wells?: too few to compare with; give whole plates"):
            normalise(profiles, design, ImportOptions(level="3"), Notes())
    else:
        normalise(profiles, design, ImportOptions(level="3"), Notes())


def test_raw_profiles_are_standardised_on_the_plates_controls():
    random = np.random.default_rng(0)
    values = random.lognormal(3, 2, 40) * (1 + random.normal(scale=0.2, size=(30, 40)))
    notes = Notes()
    profiles, design = made(values, range(10))
    found, z_scores = normalise(profiles, design, ImportOptions(), notes)
    controls = values[:10]
    np.testing.assert_allclose(
        found.values.to_numpy(), (values - controls.mean(axis=0)) / controls.std(axis=0), rtol=1e-9
    )
    assert not z_scores and "profiles are raw" in noted(notes) and "standardised" in noted(notes)


def test_normalised_profiles_are_recognised_by_their_controls_and_left():
    random = np.random.default_rng(0)
    values = random.normal(size=(30, 40))
    values[10:] += 3 * random.normal(size=40)  # treatments differ, controls do not
    notes = Notes()
    profiles, design = made(values, range(10))
    found, _ = normalise(profiles, design, ImportOptions(), notes)
    assert found.values.equals(profiles.values) and "normalised already" in noted(notes)
    forced, _ = normalise(profiles, design, ImportOptions(level="raw"), Notes())
    assert not forced.values.equals(profiles.values)


# -- selecting and merging --------------------------------------------------------------------------------------------


def test_feature_selection_by_pycytominer():
    random = np.random.default_rng(0)
    values = random.normal(size=(40, 6))
    values[:, 5] = values[:, 0] + 1e-3 * random.normal(size=40)  # a copy
    values[:, 4] = 1.0  # constant
    notes = Notes()
    kept = list(select_features(made(values)[0], notes).values)
    assert "Cells_4" not in kept and len({"Cells_0", "Cells_5"} & set(kept)) == 1 and "pycytominer" in noted(notes)


def test_replicates_are_merged_by_modz_and_controls_are_not():
    random = np.random.default_rng(0)
    signal = random.normal(size=200)
    values = np.array(
        [*random.normal(size=(2, 200)), signal, signal + 0.1 * random.normal(size=200), -signal, signal * 2]
    )
    profiles, design = made(values, (0, 1), dose=[np.nan, np.nan, 1, 1, 1, 3])
    notes = Notes()
    merged, table = merge_replicates(profiles, design, notes)
    assert list(merged.values.index) == ["w0", "w1", "w2", "w5"] == list(table.table.index)
    assert merged.wells["Metadata_replicates"].tolist() == ["1", "1", "3", "1"]
    np.testing.assert_allclose(merged.values.loc["w5"], values[5])
    # Weights are the mean correlations with the others, at least 0.01: the replicate that disagrees counts for little.
    near = 0.5 * (values[2] + values[3])
    assert np.corrcoef(merged.values.loc["w2"], near)[0, 1] > 0.99
    spearman = pd.DataFrame(values[2:5].T).corr("spearman").to_numpy().copy()
    np.fill_diagonal(spearman, np.nan)
    weights = np.clip(np.nanmean(np.clip(spearman, 0, None), axis=1), 0.01, None)
    np.testing.assert_allclose(merged.values.loc["w2"], weights / weights.sum() @ values[2:5], atol=1e-3)
    assert "4 treated wells merged into 2 treatments by MODZ" in noted(notes)


def test_merging_needs_compounds():
    profiles, design = made(np.ones((2, 2)))
    with pytest.raises(UserError, match="^merge_replicates: the wells' compounds are unknown"):
        merge_replicates(profiles, Design(design.table, {}), Notes())
