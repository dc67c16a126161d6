"""Renders the sandbox's few pages; no script, one small stylesheet."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response

from core.money import exponent, to_decimal

_FOLDER = Path(__file__).parent / "templates"


def money(amount: int, currency: str) -> str:
    """``12500, usd`` as ``125.00 USD``."""
    return f"{to_decimal(amount, currency):,.{exponent(currency)}f} {currency.upper()}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["money"] = money
    return environment


_ENVIRONMENT = _environment()


def page(template: str, *, status: int = 200, **context: Any) -> Response[str]:
    """One HTML page."""
    return Response(
        _ENVIRONMENT.get_template(template).render(context),
        status_code=status,
        media_type="text/html; charset=utf-8",
        headers={"cache-control": "no-store"},
    )


def stylesheet() -> Response[str]:
    return Response((_FOLDER / "sandbox.css").read_text(encoding="utf-8"), media_type="text/css; charset=utf-8")
