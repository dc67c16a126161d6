"""Who is calling: the address behind the proxies that we trust, and no others (A5)."""

import ipaddress

from litestar.types import HTTPScope

UNKNOWN = "unknown"


def client_address(scope: HTTPScope, trusted_hops: int) -> str:
    """Return the client's address.

    Each trusted proxy appends the address that it was called from to X-Forwarded-For, so the entry of the outermost
    trusted one stands at ``-trusted_hops``; everything left of it was written by the client and may be a lie.
    """
    if trusted_hops:
        lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
        entries = [entry.strip() for entry in ",".join(lines).split(",")]
        if len(entries) >= trusted_hops and _is_address(entries[-trusted_hops]):
            return entries[-trusted_hops]
    client = scope.get("client")
    return client[0] if client else UNKNOWN


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
