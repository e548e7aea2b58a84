"""Under which names a khung without keys may be asked. A page of another site could have its own name lead to this machine (DNS
rebinding): to the browser it were then khung's own page, and everyone at the loopback may do everything.

A name without a dot and a number are nobody's to buy, so they pass, as does what the settings name.
"""

from functools import lru_cache
from ipaddress import ip_address

from starlette.exceptions import HTTPException
from starlette.types import Scope

_MISDIRECTED = 421


class Hosts:
    """`named`: further names, by comma."""

    def __init__(self, named: str) -> None:
        self._named = frozenset(name.strip().lower() for name in named.split(",") if name.strip())

    def check(self, scope: Scope) -> None:
        """Raises HTTPException 421 for a name that is none of this machine's."""
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        if not _is_plain(host) and _name(host) not in self._named:
            raise HTTPException(
                _MISDIRECTED,
                "Without keys khung answers at this machine's own names. Set KHUNG_SERVE_HOSTS to add one.",
            )


@lru_cache(maxsize=256)
def _is_plain(host: bytes) -> bool:
    name = _name(host)
    if "." not in name or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _name(host: bytes) -> str:
    """Without the port, the brackets of IPv6 and a last dot."""
    text = host[:300].decode("latin-1").lower()
    name = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
    return name.rstrip(".")
