"""The weights folder that an earlier version left, see ``weights-format-1/README.md``."""

import zipfile

from support import TESTS

STORED = TESTS / "support" / "weights-format-1"


def unpack_store(folder):
    """Unpack it into ``folder``; returns the weights folder."""
    with zipfile.ZipFile(STORED / "store.zip") as packed:
        packed.extractall(folder)
    return folder / "store"
