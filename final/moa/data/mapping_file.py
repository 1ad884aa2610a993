"""Read the mapping of an imported folder, or of any YAML file, as plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from moa.errors import UserError
from moa.words import shown

#: The file of a data folder that says how its plates were read.
MAPPING = "mapping.yaml"
_MOST_BYTES = 1 << 24


class _Loader(yaml.SafeLoader):
    """Reads plain values; one that refers to another is refused, since a short file could hold any number of them."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """The next node."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it refers to another value by '*'; write the value itself")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """What a node holds; one key twice is refused, since the last would count without a word."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for key in keys if keys.count(key) > 1), None) if len(set(keys)) < len(keys) else None
        if twice is not None:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: '{twice}' stands there twice; leave one out")
        return super().construct_mapping(node, deep)


def read_plain(path: Path) -> dict[str, Any]:
    """What a YAML file holds.

    Raises:
        UserError: it cannot be read, or holds no mapping; the message names the file.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path}: larger than a mapping can be; give the {MAPPING} of an import")
        with path.open(encoding="utf-8") as file:
            plain = yaml.load(file, _Loader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = shown(" ".join(str(error).split()), 100)
        raise UserError(f"{path}: not YAML that can be read ({reason})") from None
    if not isinstance(plain, dict) or not {"format", "settings"} & set(plain):
        raise UserError(
            f"{path}: no mapping of an import; give the {MAPPING} of a data folder, or settings below `settings:`"
        )
    return plain


def mapping_of_folder(folder: Path) -> dict[str, Any] | None:
    """The mapping of a data folder; None where it has none.

    Raises:
        UserError: as ``read_plain``.
    """
    path = Path(folder) / MAPPING
    return read_plain(path) if path.exists() else None
