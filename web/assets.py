"""Static files, read once at start-up and served from memory under names that carry a hash of their content.

A changed file has a changed name, so browsers may keep every answer for ever; nothing is read from disk afterwards.
"""

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from litestar import Request, Response
from litestar.datastructures import Headers
from litestar.enums import HttpMethod
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

URL_PREFIX = "/static/"
_SPRITE = "icons.svg"
_ICON_FOLDER = Path("vendor/lucide")
# Litestar adds the charset to text.
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
# Kept in the repository for people, never served.
_NOT_SERVED = {".toml", ""}
_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable"}
_CSS_URL = re.compile(r"""url\("([^"]+)"\)""")
_SVG_CONTENT = re.compile(r"<svg\b[^>]*>(.*)</svg>", re.DOTALL)
_SPRITE_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg">\n'
    "<!-- Icons from Lucide (lucide.dev), ISC License, Copyright (c) 2026 Lucide Icons and Contributors; parts from"
    " Feather, MIT License, Copyright (c) 2013-present Cole Bemis -->\n"
)
# A little thinner than Lucide's own 2: it sits beside text of weight 400 to 600.
_SYMBOL = (
    '<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75"'
    ' stroke-linecap="round" stroke-linejoin="round">{content}</symbol>\n'
)


class AssetError(Exception):
    """The static folder holds something that must not be served, or two files of one name."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it goes out; ``zipped`` is None where compression would not help."""

    name: str
    url: str
    media_type: str
    body: bytes
    zipped: bytes | None
    etag: str


class Assets:
    """All static files by their plain name ("app.css") and by the hashed name in their address."""

    def __init__(self, root: Path) -> None:
        sources = _read(root)
        sources[_SPRITE] = _sprite(root / _ICON_FOLDER)
        assets: dict[str, Asset] = {}
        # Style sheets last: they name the hashed addresses of the others.
        for name in sorted(sources, key=lambda name: (name.endswith(".css"), name)):
            body = sources[name]
            if name.endswith(".css"):
                body = _with_hashed_urls(name, body, assets)
            assets[name] = _asset(name, body)
        self._by_name: Mapping[str, Asset] = MappingProxyType(assets)
        self._by_hashed_name = {asset.url.removeprefix(URL_PREFIX): asset for asset in assets.values()}
        self.icons = frozenset(path.stem for path in (root / _ICON_FOLDER).glob("*.svg"))

    def __iter__(self) -> Iterator[Asset]:
        return iter(self._by_name.values())

    def url(self, name: str) -> str:
        """Return the address of ``name``; a name that is not there is a programming error."""
        try:
            return self._by_name[name].url
        except KeyError:
            raise AssetError(f"no static file is called {name!r}") from None

    def get(self, name: str) -> Asset:
        """Return the file called ``name``."""
        return self._by_name[name]

    def handler(self) -> HTTPRouteHandler:
        """Return the route that serves every file to anyone, without cookie or session."""
        files = self._by_hashed_name

        async def serve_asset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
            asset = files.get(name)
            if asset is None:
                raise NotFoundException
            return _respond(asset, request.headers, request.method)

        return HTTPRouteHandler(
            f"{URL_PREFIX}{{name:str}}",
            http_method=[HttpMethod.GET, HttpMethod.HEAD],
            opt={"public": True, "static": True},
            include_in_schema=False,
            name="static",
        )(serve_asset)


def _respond(asset: Asset, headers: Headers, method: str) -> Response[bytes]:
    sent = dict(_HEADERS)
    body, etag = asset.body, asset.etag
    if asset.zipped is not None:
        sent["Vary"] = "Accept-Encoding"
        if _accepts_gzip(headers.get("accept-encoding", "")):
            body, etag = asset.zipped, f"{asset.etag}-gz"
            sent["Content-Encoding"] = "gzip"
    sent["ETag"] = f'"{etag}"'
    if f'"{etag}"' in headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=sent, media_type=asset.media_type)
    if method == HttpMethod.HEAD:
        sent["Content-Length"] = str(len(body))
        body = b""
    return Response(body, headers=sent, media_type=asset.media_type)


def _accepts_gzip(header: str) -> bool:
    for entry in header.lower().split(","):
        coding, _, quality = entry.partition(";")
        if coding.strip() in {"gzip", "*"}:
            return quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _read(root: Path) -> dict[str, bytes]:
    """Return every servable file below ``root`` by its base name; the icons are left to the sprite."""
    found: dict[str, bytes] = {}
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.is_symlink() or path.name.startswith("."):
            raise AssetError(f"a symlink or a hidden file in the static folder: {inside}")
        if path.is_dir() or path.suffix in _NOT_SERVED or inside.is_relative_to(_ICON_FOLDER):
            continue
        if path.suffix not in _TYPES:
            raise AssetError(f"no content type is known for {inside}")
        if path.name in found or path.name == _SPRITE:
            raise AssetError(f"two static files are called {path.name}")
        found[path.name] = path.read_bytes()
    return found


def _sprite(folder: Path) -> bytes:
    """Return one SVG file with a symbol for every icon, in the order of their names."""
    symbols = []
    for path in sorted(folder.glob("*.svg")):
        drawing = _SVG_CONTENT.search(path.read_text("utf-8"))
        if drawing is None:
            raise AssetError(f"{path.name} is not a drawing")
        content = re.sub(r"\s*\n\s*", "", drawing[1]).replace(" />", "/>")
        symbols.append(_SYMBOL.format(name=path.stem, content=content))
    return f"{_SPRITE_HEAD}{''.join(symbols)}</svg>\n".encode()


def _with_hashed_urls(name: str, body: bytes, known: Mapping[str, Asset]) -> bytes:
    def hashed(match: re.Match[str]) -> str:
        target = known.get(match[1].rpartition("/")[2])
        if target is None:
            raise AssetError(f"{name} asks for {match[1]}, which is not there")
        return f'url("{target.url}")'

    return _CSS_URL.sub(hashed, body.decode("utf-8")).encode()


def _asset(name: str, body: bytes) -> Asset:
    digest = hashlib.sha256(body).hexdigest()[:16]
    stem, _, extension = name.rpartition(".")
    zipped = gzip.compress(body, 9, mtime=0)
    return Asset(
        name=name,
        url=f"{URL_PREFIX}{stem}-{digest}.{extension}",
        media_type=_TYPES[f".{extension}"],
        body=body,
        zipped=zipped if len(zipped) < len(body) * 0.9 else None,
        etag=digest,
    )
