"""The browser that the tests drive: a Chromium of this machine, started the same way everywhere."""

import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""Started like this it runs as root in a container and asks nobody outside for anything."""

AXE_RULES = {
    # Every rule runs; what it found in order is not described, which takes longer than to find it.
    "resultTypes": ["violations"],
    # None of these rules reads style sheets; by default they are all fetched and parsed anew for each look.
    "preload": {"assets": ["media"]},
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
}


def find_chromium() -> str:
    """Return the path of a Chromium; skip the test where there is none."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    pytest.skip(f"no browser here: none of {', '.join(NAMES)} is in PATH")
