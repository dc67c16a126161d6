"""A few lines of HTML for the pages that people see; no script, no file beside it."""

from collections.abc import Iterable, Sequence
from html import escape

from web.sandbox.quickbooks.amounts import from_cents

_STYLE = """
:root { color-scheme: light dark; --line: #d5d9de; --accent: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --line: #3a4048; --accent: #57ab5a; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.note { border-left: 4px solid var(--accent); padding: .25rem .75rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
fieldset { border: 1px solid var(--line); border-radius: .5rem; margin: 1rem 0; padding: 1rem; }
label { display: block; margin: .35rem 0; }
input[type=text], select { font: inherit; padding: .35rem; min-width: 14rem; }
button { font: inherit; padding: .5rem 1.25rem; border-radius: .4rem; border: 1px solid var(--line); }
button { margin-right: .5rem; cursor: pointer; }
button.main { background: var(--accent); border-color: var(--accent); color: #fff; }
@media (prefers-color-scheme: dark) { button.main { color: #08130b; } }
"""


def page(title: str, body: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>"
    ).encode()


def link(href: str, text: str) -> str:
    return f'<a href="{escape(href, quote=True)}">{escape(text)}</a>'


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> str:
    """A table of ready-made cells. A head that ends in ``#`` is a column of numbers."""
    numeric = [head.endswith("#") for head in heads]
    cells = [f"<tr>{''.join(_cell(cell, numeric[i]) for i, cell in enumerate(row))}</tr>" for row in rows]
    if not cells:
        return f"<p>{escape(empty)}</p>"
    top = "".join(
        f'<th scope="col"{" class=n" if n else ""}>{escape(h.rstrip("#"))}</th>'
        for h, n in zip(heads, numeric, strict=True)
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{"".join(cells)}</tbody></table></div>'


def _cell(content: str, is_number: bool) -> str:
    return f"<td{' class=n' if is_number else ''}>{content}</td>"


def money(cents: int) -> str:
    return f"{from_cents(cents):,.2f}"


def options(values: Iterable[str], chosen: str) -> str:
    return "".join(f"<option{' selected' if v == chosen else ''}>{escape(v)}</option>" for v in values)
