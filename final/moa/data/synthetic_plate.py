"""A made-up L1000 plate with mechanisms, as a laboratory has them: a GCT file and a table of compounds.

Compounds act on the 772 genes as those of ``moa.data.synthetic`` do, more at higher doses. The genes' names are real,
the values are not.
"""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from moa.data.feature_names import competition_features
from moa.data.schema import N_NONSCORED, N_SCORED
from moa.data.synthetic_drugs import Drugs
from moa.data.synthetic_response import N_GENES, Actions, Response, Settings
from moa.data.wells import format_well
from moa.errors import UserError
from moa.files import replacing

#: Names of the two files.
PLATE, MECHANISMS = "plate.gct.gz", "mechanisms.tsv"
#: Doses of each compound in µM, and the activity at each, relative to that at a usual one.
DOSES = {10.0: 1.3, 3.33: 1.15, 1.11: 0.9, 0.37: 0.6, 0.12: 0.3, 0.04: 0.1}
VEHICLES = 26
_COLUMNS, _PLACES = 24, 384
# Compounds act only by their mechanism, and strongly: the plate is a demonstration, and not for measuring models.
_EFFECTS = Settings(strong_targets=1.0, strong=1.6, elsewhere=0.0, own=0.6, toxic_targets=0.0)


def synthesize_plate(folder: Path, compounds: int = 48, mechanisms: int = 12, seed: int = 0) -> tuple[Path, Path]:
    """Write ``PLATE``, log2 expression (level 3) as GCT 1.3, and ``MECHANISMS``, a table of the compounds.

    Args:
        folder: it is made if it is missing; the two files are replaced.
        compounds: their number, each at six doses; with the 26 wells of the vehicle, 59 fill a plate of 384 wells.
        mechanisms: their number; compounds have them in turn, and every seventh compound is not in the table.
        seed: the same seed gives the same files.

    Returns:
        the two files.

    Raises:
        UserError: the compounds do not fit on the plate, or are too few for the mechanisms.
    """
    most = (_PLACES - VEHICLES) // len(DOSES)
    if not 1 <= mechanisms <= N_SCORED or not 2 * mechanisms <= compounds <= most:
        raise UserError(f"a made-up plate holds up to {most} compounds, at least two for each mechanism")
    rng = np.random.default_rng(seed)
    place = np.arange(compounds) % mechanisms
    response = _response(rng, place)
    drug = rng.permutation(np.concatenate([np.full(VEHICLES, -1), np.arange(compounds * len(DOSES))]))
    first_level = np.zeros(len(drug), int)
    z = response.features(rng, drug, first_level, first_level)[:, :N_GENES]
    usual, spread = rng.uniform(5, 12, N_GENES), rng.lognormal(-1.2, 0.3, N_GENES)
    values = np.clip(usual + spread * z, 0, 15)

    names = [f"compound-{number:02d}" for number in range(compounds)]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    packed = gzip.compress(_gct(values, _wells(drug, names)).encode(), mtime=0)
    with replacing(folder / PLATE) as temporary:
        temporary.write_bytes(packed)
    known = [number for number in range(compounds) if number % 7 != 6]
    table = pd.DataFrame(
        {"pert_iname": [names[number] for number in known], "moa": [f"mechanism {place[n] + 1:02d}" for n in known]}
    )
    with replacing(folder / MECHANISMS) as temporary:
        table.to_csv(temporary, sep="\t", index=False)
    return folder / PLATE, folder / MECHANISMS


def _response(rng: np.random.Generator, mechanism: np.ndarray) -> Response:
    """What compounds do to the genes; a compound at one dose is a drug of its own, and its doses follow each other."""
    labels = np.zeros((len(mechanism), N_SCORED + N_NONSCORED), np.uint8)
    labels[np.arange(len(mechanism)), mechanism] = 1
    target = np.arange(labels.shape[1])
    response = Response.draw(rng, Drugs(np.ones(len(labels), int), 0, labels, target, target), _EFFECTS)
    actions, doses = response.actions, np.array(list(DOSES.values()))
    direction, toxicity = (np.repeat(each, len(doses), axis=0) for each in (actions.direction, actions.toxicity))
    activity = np.outer(actions.activity, doses).ravel()
    return replace(response, actions=Actions(direction, activity, toxicity))


def _wells(drug: np.ndarray, names: list[str]) -> pd.DataFrame:
    """The column fields of the GCT file, indexed by the wells' names."""
    treated, doses = drug >= 0, np.array(list(DOSES))
    compound, dose = np.divmod(np.maximum(drug, 0), len(doses))
    places = [format_well(*divmod(number, _COLUMNS)) for number in range(len(drug))]
    table = pd.DataFrame(
        {
            "det_plate": "SYNTHETIC_A375_24H_X1",
            "det_well": places,
            "pert_type": np.where(treated, "trt_cp", "ctl_vehicle"),
            "pert_iname": np.where(treated, np.array(names)[compound], "DMSO"),
            "pert_idose": np.where(treated, np.char.add(doses[dose].astype(str), " um"), "-666"),
            "pert_itime": "24 h",
            "cell_id": "A375",
        }
    )
    return table.set_axis(table["det_plate"] + ":" + table["det_well"])


def _gct(values: np.ndarray, wells: pd.DataFrame) -> str:
    """GCT 1.3: one row per gene, one column per well."""
    genes = competition_features().query("group == 'genes'")
    lines = [
        "#1.3",
        f"{len(genes)}\t{len(wells)}\t2\t{wells.shape[1]}",
        "\t".join(["id", "pr_gene_id", "pr_gene_symbol", *wells.index]),
        *("\t".join([field, "-666", "-666", *wells[field]]) for field in wells),
    ]
    fields = zip(genes["probe_id"], genes["entrez_id"].astype(str), genes["symbol"], values.T, strict=True)
    lines += ["\t".join([*known, *(f"{value:.4f}" for value in row)]) for *known, row in fields]
    return "\n".join(lines) + "\n"
