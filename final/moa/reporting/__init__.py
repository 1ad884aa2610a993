"""Self-contained HTML pages: the report on models and their blends, and the page about new plates."""

from __future__ import annotations

from typing import Any

__all__ = ["SECTIONS", "write_report"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from moa.reporting import report  # matplotlib takes a second to import, and the page about plates needs none

    return getattr(report, name)
