"""Where a redirect may lead: to a path of ours, never elsewhere (S8)."""

from urllib.parse import quote, urlsplit

_MAX_LENGTH = 2000


def safe_path(value: str | None, default: str = "/") -> str:
    """Return ``value`` if it is a path of ours, else ``default``.

    Browsers drop tabs and line breaks, and read a backslash as a slash, so none of these may stand in it.
    """
    return value if value is not None and _is_own_path(value) else default


def _is_own_path(value: str) -> bool:
    if len(value) > _MAX_LENGTH or not value.startswith("/") or value.startswith("//"):
        return False
    if "\\" in value or any(not "!" <= character <= "~" for character in value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc


def own_path_of(url: str | None, base_url: str) -> str | None:
    """Return path and query of a URL of ours (a Referer, an HX-Current-URL), or None."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if f"{parts.scheme}://{parts.netloc}" != base_url.rstrip("/"):
        return None
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return path if _is_own_path(path) else None


def with_next(path: str, following: str) -> str:
    """Return ``path`` with a ``next`` parameter, or without one where it would say nothing."""
    return path if following == "/" else f"{path}?next={quote(following, safe='/')}"
