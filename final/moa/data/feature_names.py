"""What features are: the gene or cell line behind a column, for the competition and for any data folder.

The competition's columns were anonymous. After it had ended, its organisers published what they are (Laboratory for
Innovation Science at Harvard, repository moa_challenge): g-0 … g-771 are 772 of the 978 landmark genes of the L1000
assay in ascending order of their Entrez id, c-0 … c-99 are 100 cell lines of the PRISM assay.
``competition_features.csv`` holds these ids. Its last two columns come from public L1000 files (GEO series GSE70138):
the symbol that older files use where it differs from today's, and the Affymetrix probe of the gene.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import pandas as pd

from moa.data.assay import Assay
from moa.errors import UserError

#: The file of a data folder that says what its features are.
FEATURES_FILE = "features.csv"
#: Columns of such a file; all but the first may be absent.
FEATURE, GROUP, ENTREZ_ID, SYMBOL = "feature", "group", "entrez_id", "symbol"
PROBE_ID, CELL_LINE, FORMER_SYMBOL = "probe_id", "cell_line", "former_symbol"
IDENTITY = (GROUP, ENTREZ_ID, SYMBOL, CELL_LINE, FORMER_SYMBOL, PROBE_ID)


@lru_cache(maxsize=1)
def _competition() -> pd.DataFrame:
    return read_identities(Path(__file__).with_name("competition_features.csv"))


def competition_features() -> pd.DataFrame:
    """What the competition's features are.

    Returns:
        indexed by feature (g-0 … g-771, c-0 … c-99); text columns group, entrez_id, symbol, cell_line, former_symbol
        and probe_id, empty where they do not apply; shape (872, 6).
    """
    return _competition().copy()


def read_identities(path: Path) -> pd.DataFrame:
    """Read a table like ``features.csv``.

    Returns:
        indexed by feature; the text columns of ``IDENTITY``, empty where the file has none, then any others.

    Raises:
        UserError: the file cannot be read, has no column "feature", or names a feature twice.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # pandas and UnicodeDecodeError
        raise UserError(f"{path}: not a csv file that can be read ({str(error).splitlines()[0]})") from None
    if FEATURE not in table:
        raise UserError(f"{path}: line 1: missing column '{FEATURE}'; expected one row for each feature")
    twice = table[FEATURE][table[FEATURE].duplicated()]
    if len(twice):
        raise UserError(
            f"{path}: column '{FEATURE}', line {twice.index[0] + 2}: '{twice.iloc[0]}' is repeated; keep one row for "
            "each feature"
        )
    table = table.set_index(FEATURE)
    others = [column for column in table if column not in IDENTITY]
    return table.reindex(columns=[*IDENTITY, *others], fill_value="")


def identities_of(folder: Path, schema: Assay) -> pd.DataFrame | None:
    """What the features of a data folder are: those of the competition, or what its ``features.csv`` says.

    Returns:
        as ``read_identities``; None where there is no such file.
    """
    if schema.of_competition:
        return competition_features()
    path = Path(folder) / FEATURES_FILE
    return read_identities(path) if path.exists() else None


def display_names(features: Iterable[str], identities: pd.DataFrame | None) -> dict[str, str]:
    """Names for plots and reports: a gene's symbol or a cell line's name where known, otherwise the column's name.

    A name of two features has the column's name in brackets. ``identities`` is as from ``read_identities``; None: not
    known.
    """
    if identities is None:
        return {feature: feature for feature in features}
    known = identities[SYMBOL].where(identities[SYMBOL] != "", identities[CELL_LINE])
    names = {feature: known.get(feature) or feature for feature in features}
    counts = Counter(names.values())
    return {
        feature: name if counts[name] == 1 or name == feature else f"{name} ({feature})"
        for feature, name in names.items()
    }
