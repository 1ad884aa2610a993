"""Public data files of the field, which are not part of the project: tests find them by MOA_FIELD_DATA, or skip."""

import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moa.data.wells import treatments


def field_data(name: str) -> Path:
    """A file of the folder that MOA_FIELD_DATA names; skips the test without it."""
    folder = os.environ.get("MOA_FIELD_DATA")
    if not folder:
        pytest.skip("MOA_FIELD_DATA names no folder of public data")
    return Path(folder) / name


def l1000_plate() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The annotated wells of an L1000 plate: z-scores of the competition's genes, labels, and compound and dose.

    Robust z-scores against the vehicle wells, clipped to ±10; mechanisms that two compounds have; wells of annotated
    compounds, those with none of these mechanisms included.
    """
    with gzip.open(field_data("LJP005_A375_24H_X1_B19_level3.gct.gz"), "rt") as file:
        lines = file.read().splitlines()
    n_rows, _, fields, n_lines = map(int, lines[1].split("\t"))
    wells = lines[2].split("\t")[1 + fields :]
    known = {line.split("\t")[0]: line.split("\t")[1 + fields :] for line in lines[3 : 3 + n_lines]}
    known = pd.DataFrame(known, wells, dtype=object)
    body = [line.split("\t") for line in lines[3 + n_lines : 3 + n_lines + n_rows]]
    entrez = lines[2].split("\t").index("pr_gene_id")
    values = pd.DataFrame({row[entrez]: np.array(row[1 + fields :], float) for row in body}, wells)
    values = values[pd.read_csv(field_data("genes.csv"))["entrez_id"].astype(str)]
    vehicle = values[(known["pert_type"] == "ctl_vehicle").to_numpy()]
    centre = vehicle.median()
    spread = 1.4826 * (vehicle - centre).abs().median().clip(lower=0.1)
    z = ((values - centre) / spread).clip(-10, 10)
    labels = pd.read_csv(field_data("ljp005_moa.tsv"), sep="\t").set_index("pert_iname")["moa"].str.get_dummies("|")
    labels = labels.loc[:, labels.sum() >= 2].astype(np.uint8)
    rows = known.index[known["pert_iname"].isin(labels.index)]
    y = labels.loc[known.loc[rows, "pert_iname"]].set_axis(rows)
    known = known.loc[rows, ["pert_iname", "pert_dose"]].set_axis(["compound", "dose"], axis=1)
    known["treatment"] = treatments(known)
    return z.loc[rows], y, known


def bbbc021() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The treated wells of BBBC021: features standardised on their plate's DMSO wells, labels, compound and dose."""
    table = pd.read_csv(field_data("bbbc021_profiles.csv.gz"))
    wells = pd.read_csv(field_data("bbbc021_wells.csv"))
    mechanisms = pd.read_csv(field_data("bbbc021_moa.csv"))
    place = ["Image_Metadata_Plate", "Image_Metadata_Well"]
    wells = wells.rename(columns={f"{name}_DAPI": name for name in place})
    table = table.merge(wells, on=place).merge(
        mechanisms,
        left_on=["Image_Metadata_Compound", "Image_Metadata_Concentration"],
        right_on=["compound", "concentration"],
    )
    features = [name for name in table if name.split("_")[0] in ("Cells", "Cytoplasm", "Nuclei")]
    control = table["compound"] == "DMSO"
    plate = table.loc[control].groupby(place[0])[features]
    centre, spread = plate.mean().loc[table[place[0]]], plate.std().loc[table[place[0]]]
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (table[features].to_numpy() - centre.to_numpy()) / spread.to_numpy()
    z = pd.DataFrame(z, table.index, features).replace([np.inf, -np.inf], np.nan).dropna(axis=1)
    y = pd.get_dummies(table["moa"], dtype=np.uint8).drop(columns="DMSO")
    known = table[["compound", "concentration"]].set_axis(["compound", "dose"], axis=1).astype(object)
    known["treatment"] = treatments(known)
    return z[~control], y[~control], known[~control]
