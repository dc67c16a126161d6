"""Static files: what is served, under which names, and that other people's files are as they published them."""

import gzip
import hashlib
import re
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from web.assets import AssetError, Assets
from web.templating import STATIC, TEMPLATES

VENDOR = STATIC / "vendor"
PACKAGES = tomllib.loads((VENDOR / "VENDOR.toml").read_text("utf-8"))["package"]


@pytest.fixture(scope="module")
def assets() -> Assets:
    return Assets(STATIC)


@pytest.fixture
async def client(assets: Assets) -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar([assets.handler()], openapi_config=None, logging_config=None)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


def test_every_vendored_file_is_exactly_the_published_one():
    listed = {
        VENDOR / package["folder"] / file["name"]: file["sha256"] for package in PACKAGES for file in package["file"]
    }
    present = {path for path in VENDOR.rglob("*") if path.is_file()} - {VENDOR / "VENDOR.toml"}
    assert present == set(listed)
    for path, checksum in listed.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == checksum, path.name


def test_every_vendored_package_brings_its_licence():
    assert {(package["name"], package["version"]) for package in PACKAGES} == {
        ("htmx.org", "4.0.1"),
        ("@fontsource-variable/figtree", "5.3.0"),
        ("lucide-static", "1.62.0"),
    }
    for package in PACKAGES:
        assert package["licence"] in {"0BSD", "OFL-1.1", "ISC"}
        assert (VENDOR / package["folder"] / "LICENSE").stat().st_size > 400


def test_the_static_folder_hides_nothing():
    for path in STATIC.rglob("*"):
        assert not path.is_symlink(), path
        assert not path.name.startswith("."), path


@pytest.mark.parametrize("trouble", ["symlink", "hidden", "unknown", "twice", "missing font"])
def test_a_static_folder_with_something_odd_is_refused(tmp_path: Path, trouble: str):
    (tmp_path / "a.js").write_text("1;")
    if trouble == "symlink":
        (tmp_path / "b.js").symlink_to(tmp_path / "a.js")
    elif trouble == "hidden":
        (tmp_path / ".env").write_text("KEY=1")
    elif trouble == "unknown":
        (tmp_path / "notes.docx").write_text("x")
    elif trouble == "twice":
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "a.js").write_text("2;")
    else:
        (tmp_path / "a.css").write_text('@font-face { src: url("gone.woff2"); }')
    with pytest.raises(AssetError):
        Assets(tmp_path)


def test_a_changed_file_has_another_address(tmp_path: Path):
    (tmp_path / "a.js").write_text("1;")
    first = Assets(tmp_path).url("a.js")
    (tmp_path / "a.js").write_text("2;")
    assert Assets(tmp_path).url("a.js") != first
    assert re.fullmatch(r"/static/a-[0-9a-f]{16}\.js", first)


def test_a_changed_font_changes_the_address_of_the_style_sheet(tmp_path: Path):
    (tmp_path / "f.woff2").write_bytes(b"one")
    (tmp_path / "a.css").write_text('@font-face { src: url("f.woff2"); }')
    first = Assets(tmp_path)
    (tmp_path / "f.woff2").write_bytes(b"two")
    second = Assets(tmp_path)
    assert first.url("a.css") != second.url("a.css")
    assert second.url("f.woff2").encode() in second.get("a.css").body


def test_the_style_sheet_asks_for_our_own_files_only(assets: Assets):
    urls = re.findall(r"url\(\"?([^)\"]+)\"?\)", assets.get("app.css").body.decode())
    assert sorted(urls) == [
        assets.url("figtree-latin-ext-wght-normal.woff2"),
        assets.url("figtree-latin-wght-normal.woff2"),
    ]
    assert b"@import" not in assets.get("app.css").body


def test_the_sprite_holds_every_icon_in_one_stable_order(assets: Assets):
    sprite = assets.get("icons.svg").body
    names = re.findall(rb'<symbol id="([a-z0-9-]+)"', sprite)
    assert names == sorted(names)
    assert {name.decode() for name in names} == assets.icons
    assert b"ISC License" in sprite
    assert Assets(STATIC).get("icons.svg").body == sprite


def test_every_icon_that_is_named_is_there(assets: Assets):
    sources = [path.read_text("utf-8") for path in TEMPLATES.rglob("*.html")]
    sources += [path.read_text("utf-8") for path in (STATIC.parent / "web" / "views").glob("*.py")]
    text = "\n".join(sources)
    called = set(re.findall(r"""icon\(\s*"([a-z0-9-]+)\"""", text))
    assert called <= assets.icons


async def test_a_file_is_served_for_ever_and_to_anyone(client: httpx.AsyncClient, assets: Assets):
    for asset in assets:
        answer = await client.get(asset.url)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == (
            f"{asset.media_type}; charset=utf-8" if asset.media_type.startswith("text/") else asset.media_type
        )
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "set-cookie" not in answer.headers
        assert answer.content == asset.body


@pytest.mark.parametrize(
    ("accepts", "zipped"),
    [
        ("gzip, deflate, br", True),
        ("GZIP;q=0.5", True),
        ("*", True),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, br", False),
        ("", False),
    ],
)
async def test_compression_is_negotiated(client: httpx.AsyncClient, assets: Assets, accepts: str, zipped: bool):
    asset = assets.get("app.css")
    request = client.build_request("GET", asset.url, headers={"Accept-Encoding": accepts})
    answer = await client.send(request, stream=True)
    raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers.get("content-encoding") == ("gzip" if zipped else None)
    assert (gzip.decompress(raw) if zipped else raw) == asset.body


async def test_a_font_is_not_compressed_twice(client: httpx.AsyncClient, assets: Assets):
    answer = await client.get(assets.url("figtree-latin-wght-normal.woff2"))
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers


async def test_a_known_file_is_not_sent_again(client: httpx.AsyncClient, assets: Assets):
    first = await client.get(assets.url("app.js"))
    again = await client.get(assets.url("app.js"), headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    plain = await client.get(
        assets.url("app.js"), headers={"If-None-Match": first.headers["etag"], "Accept-Encoding": "identity"}
    )
    assert plain.status_code == 200


async def test_head_says_what_get_would(client: httpx.AsyncClient, assets: Assets):
    get, head = await client.get(assets.url("app.css")), await client.head(assets.url("app.css"))
    assert head.content == b""
    assert {**head.headers} == {**get.headers}


@pytest.mark.parametrize(
    "path",
    [
        "/static/app.css",
        "/static/app-0000000000000000.css",
        "/static/VENDOR.toml",
        "/static/LICENSE",
        "/static/check.svg",
        "/static/..%2fpyproject.toml",
        "/static/%2e%2e/pyproject.toml",
        "/static/vendor/htmx.org/htmx.min.js",
        "/static/",
    ],
)
async def test_anything_else_is_not_there(client: httpx.AsyncClient, path: str):
    assert (await client.get(path)).status_code == 404


async def test_files_cannot_be_written_to(client: httpx.AsyncClient, assets: Assets):
    assert (await client.post(assets.url("app.css"))).status_code == 405


def test_the_budget_of_script_and_style_is_kept(assets: Assets):
    def sent(*names: str) -> int:
        return sum(len(assets.get(name).zipped or assets.get(name).body) for name in names)

    # gzip here; brotli at a proxy would be about an eighth less.
    assert sent("app.css") <= 10_000
    assert sent("htmx.min.js", "hx-sse.min.js", "app.js") <= 20_000
