"""Which addresses of a cluster other machines can reach: whoever reaches one can run code there, as its user."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from moa.words import listed

_ENCRYPTED = ("tls", "wss", "https")


def addresses(client: Any, cluster: Any = None) -> list[str]:
    """Where a client's scheduler and workers listen, and the page of a scheduler that runs in this process."""
    facts = client.scheduler_info(n_workers=-1)
    found = [facts["address"], *facts["workers"]]
    scheduler = getattr(cluster, "scheduler", None)
    for listener in getattr(scheduler, "listeners", None) or ():
        found.append(listener.listen_address)
    server = getattr(scheduler, "http_server", None)
    for socket in (getattr(server, "_sockets", None) or {}).values():
        with suppress(OSError):
            host, port = socket.getsockname()[:2]
            found.append(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    return list(dict.fromkeys(found))


def warnings_of(on: str, found: Iterable[str]) -> list[str]:
    """What to say of the addresses that are not of this machine alone; nothing of the others."""
    open_ones = [address for address in found if not _is_loopback(address)]
    if not open_ones:
        return []
    lines = [
        f"--on {on}: other machines can reach {listed(open_ones)}; who reaches a scheduler or worker of Dask can run "
        "code there, as you: use a network that you trust"
    ]
    plain = [each for each in open_ones if urlsplit(each).scheme not in (*_ENCRYPTED, "http")]
    if plain:
        lines.append(
            f"--on {on}: {listed(plain)} without TLS: anybody on the way can read and change what is sent; give "
            "certificates to Dask and use tls://"
        )
    return lines


def _is_loopback(address: str) -> bool:
    parts = urlsplit(address)
    if parts.scheme in ("inproc", "unix"):
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    return parts.hostname == "localhost"
