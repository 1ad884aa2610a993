"""Assays made for tests: a Cell Painting screen of any size as tables or AnnData, and an L1000 plate as GCT or GCTX."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

COMPARTMENTS = ("Cells", "Cytoplasm", "Nuclei")


@dataclass(frozen=True)
class Screen:
    """A screen: one row a well.

    Attributes:
        values: shape (wells, features).
        wells: Metadata_Plate, Metadata_Well, Metadata_broad_sample, Metadata_mmoles_per_liter, Metadata_pert_type and
            Metadata_moa; the same index.
        mechanisms: of each compound.
    """

    values: pd.DataFrame
    wells: pd.DataFrame
    mechanisms: dict[str, str]

    @property
    def table(self) -> pd.DataFrame:
        """Metadata and values side by side, as pycytominer writes them."""
        return pd.concat([self.wells, self.values], axis=1)


def cell_painting(
    wells: int = 600,
    features: int = 300,
    compounds: int = 40,
    doses: int = 5,
    mechanisms: int = 8,
    plates: int = 4,
    raw: bool = True,
    seed: int = 0,
) -> Screen:
    """A Cell Painting-like screen: every tenth well is DMSO, compounds of a mechanism act alike, stronger with dose.

    Args:
        wells, features, compounds, doses, mechanisms, plates: their numbers.
        raw: values as CellProfiler measures them, with an offset and a scale of each feature and plate; otherwise as
            z-scores against DMSO.
        seed: of the random generator.
    """
    random = np.random.default_rng(seed)
    names = [f"{COMPARTMENTS[i % 3]}_Texture_Feature_{i}" for i in range(features)]
    names.sort()
    ids = [f"BRD-K{10_000_000 + 137 * i}" for i in range(compounds)]
    # The first compounds of each mechanism are two, so that every mechanism can be tested with a compound held out.
    mechanism = {name: f"mechanism {i % mechanisms} inhibitor" for i, name in enumerate(ids)}
    direction = random.normal(size=(mechanisms, features)) * (random.random((mechanisms, features)) < 0.3)
    own = random.normal(scale=0.3, size=(compounds, features))
    levels = 10.0 / 3.0 ** np.arange(doses)[::-1]
    offset, scale = random.lognormal(2, 2, features), random.lognormal(0, 2, features)
    rows, values, treated = [], [], 0
    per_plate = -(-wells // plates)
    drift = random.normal(scale=0.5, size=(plates, features))
    for number in range(wells):
        plate, place = divmod(number, per_plate)
        control = number % 10 == 0
        effect = np.zeros(features)
        if not control:
            compound, dose = treated % compounds, treated // compounds % doses
            strength = 2.0 * (dose + 1) / doses
            effect = strength * (direction[compound % mechanisms] + own[compound])
            treated += 1
        rows.append(
            {
                "Metadata_Plate": f"Week{plate + 1}_{27481 + plate}",
                "Metadata_Well": f"{chr(65 + place // 24)}{place % 24 + 1:02d}",
                "Metadata_broad_sample": "DMSO" if control else ids[compound],
                # Rounded and noisy, as such files are.
                "Metadata_mmoles_per_liter": 0.0 if control else float(f"{levels[dose]:.5g}") * (1 + 1e-6 * place),
                "Metadata_pert_type": "control" if control else "trt",
                "Metadata_moa": np.nan if control else mechanism[ids[compound]],
            }
        )
        values.append(drift[plate] + effect + random.normal(size=features))
    table = np.array(values)
    if raw:
        table = offset + scale * table
    else:
        table -= drift[np.arange(wells) // per_plate]
    frame = pd.DataFrame(table, columns=names)
    return Screen(frame, pd.DataFrame(rows), mechanism)


def l1000_plate(genes: list[dict[str, str]], wells: int = 48, vehicle: int = 12, seed: int = 0) -> Screen:
    """A level-3 L1000 plate: log2 expression of the given genes (probe, pr_gene_id, pr_gene_symbol).

    Args:
        genes: what is known of each row, ``id`` among it.
        wells: their number.
        vehicle: number of DMSO wells among them.
        seed: of the random generator.
    """
    random = np.random.default_rng(seed)
    values = random.uniform(4, 12, len(genes)) + random.normal(scale=0.4, size=(wells, len(genes)))
    rows = []
    for number in range(wells):
        control = number < vehicle
        compound = (number - vehicle) // 6
        rows.append(
            {
                "det_plate": "PLATE_A375_24H_X1",
                "det_well": f"{chr(65 + number // 24)}{number % 24 + 1:02d}",
                "pert_type": "ctl_vehicle" if control else "trt_cp",
                "pert_iname": "DMSO" if control else f"compound-{compound}",
                "pert_idose": "-666"
                if control
                else f"{(10.0, 3.33, 1.11, 0.37, 0.12, 0.04)[(number - vehicle) % 6]} um",
                "pert_itime": "24 h",
                "cell_id": "A375",
            }
        )
    index = [f"PLATE_A375_24H_X1:{row['det_well']}" for row in rows]
    frame = pd.DataFrame(np.round(values, 4), index=index, columns=[gene["id"] for gene in genes])
    return Screen(frame, pd.DataFrame(rows, index=index), {})


def write_gct(path: Path, values: pd.DataFrame, wells: pd.DataFrame, rows: pd.DataFrame, version: str = "1.3") -> Path:
    """Write GCT; ``rows`` are the row fields, indexed by the features."""
    lines = [f"#{version}"]
    if version == "1.3":
        lines.append(f"{values.shape[1]}\t{len(values)}\t{rows.shape[1]}\t{wells.shape[1]}")
        lines.append("\t".join(["id", *rows.columns, *values.index]))
        for field in wells:
            lines.append("\t".join([field, *["na"] * rows.shape[1], *wells[field].astype(str)]))
    else:
        lines += [f"{values.shape[1]}\t{len(values)}", "\t".join(["NAME", "Description", *values.index])]
    for feature in values:
        cells = [repr(float(value)) for value in values[feature]]
        lines.append("\t".join([feature, *rows.loc[feature].astype(str), *cells]))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_gctx(path: Path, values: pd.DataFrame, wells: pd.DataFrame, rows: pd.DataFrame) -> Path:
    """Write GCTX by its documented layout: the matrix as (columns, rows), texts of fixed length."""
    with h5py.File(path, "w") as file:
        file.attrs["version"] = np.bytes_("GCTX1.0")
        file.create_dataset("0/DATA/0/matrix", data=values.to_numpy(np.float32))
        for place, table in (("ROW", rows), ("COL", wells)):
            file.create_dataset(f"0/META/{place}/id", data=_fixed(table.index))
            for field in table:
                file.create_dataset(f"0/META/{place}/{field}", data=_fixed(table[field].astype(str)))
    return path


def _fixed(texts) -> np.ndarray:
    return np.array([str(text).encode() for text in texts])


def write_h5ad(path: Path, values: pd.DataFrame, wells: pd.DataFrame, x: str = "dense", layout: str = "new") -> Path:
    """Write AnnData's ``.h5ad`` by the layout that anndata documents.

    Args:
        path: the file.
        values: X; its columns are the names of var.
        wells: obs; columns of text become categories.
        x: "dense", "csr" or "csc".
        layout: "new" (0.8 and later), "old" (0.7: ``__categories``) or "records" (before 0.7).
    """
    from scipy import sparse

    with h5py.File(path, "w") as file:
        if x == "dense":
            file.create_dataset("X", data=values.to_numpy(np.float32))
            file["X"].attrs["encoding-type"] = "array"
        else:
            matrix = (sparse.csr_matrix if x == "csr" else sparse.csc_matrix)(values.to_numpy(np.float32))
            group = file.create_group("X")
            for part in ("data", "indices", "indptr"):
                group.create_dataset(part, data=getattr(matrix, part))
            if layout == "records":
                group.attrs["h5sparse_format"], group.attrs["h5sparse_shape"] = x, matrix.shape
            else:
                group.attrs["encoding-type"], group.attrs["shape"] = f"{x}_matrix", matrix.shape
        _write_table(file, "obs", wells.set_axis([f"well-{i}" for i in range(len(wells))]), layout)
        _write_table(file, "var", pd.DataFrame(index=values.columns), layout)
    return path


def _write_table(file: h5py.File, name: str, table: pd.DataFrame, layout: str) -> None:
    text = h5py.string_dtype()
    if layout == "records":
        kinds = [("index", "S40"), *((column, _record_kind(table[column])) for column in table)]
        records = np.zeros(len(table), dtype=kinds)
        records["index"] = [str(each).encode() for each in table.index]
        for column in table:
            if table[column].dtype.kind == "f":
                records[column] = table[column]
            else:
                codes, categories = pd.factorize(table[column])
                records[column] = codes
                file.create_dataset(f"uns/{column}_categories", data=list(categories), dtype=text)
        file.create_dataset(name, data=records)
        return
    group = file.create_group(name)
    group.attrs["_index"], group.attrs["encoding-type"] = "_index", "dataframe"
    group.create_dataset("_index", data=list(table.index), dtype=text)
    for column in table:
        if table[column].dtype.kind == "f":
            group.create_dataset(column, data=table[column].to_numpy())
            continue
        codes, categories = pd.factorize(table[column])
        if layout == "new":
            part = group.create_group(column)
            part.attrs["encoding-type"] = "categorical"
            part.create_dataset("codes", data=codes.astype(np.int16))
            part.create_dataset("categories", data=list(categories), dtype=text)
        else:
            found = group.require_group("__categories").create_dataset(column, data=list(categories), dtype=text)
            group.create_dataset(column, data=codes.astype(np.int16))
            group[column].attrs["categories"] = found.ref
    group.attrs["column-order"] = list(table.columns)


def _record_kind(values: pd.Series) -> str:
    return "f8" if values.dtype.kind == "f" else "i4"
