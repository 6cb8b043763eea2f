"""What the HTML pages share: one self-contained file, no network, everything escaped."""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

_ASSETS = Path(__file__).parent / "assets"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(title: str, body: Iterable[str], *, styles: Iterable[str], scripts: Iterable[str] = ()) -> str:
    """Return a whole page. styles, scripts: names of files in assets/, put inline.

    The content security policy forbids the page to load anything from anywhere.
    """
    css = "\n".join((_ASSETS / name).read_text(encoding="utf-8") for name in styles)
    js = "\n".join((_ASSETS / name).read_text(encoding="utf-8") for name in scripts)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{css}</style>",
            "</head>",
            "<body>",
            *body,
            *([f"<script>\n{js}</script>"] if js else []),
            "</body>",
            "</html>",
            "",
        ]
    )


def tag(name: str, content: str = "", **attributes: str | None) -> str:
    """Return an element around `content`, which must already be HTML; attribute values are escaped.

    `class_` and `data_x` stand for `class` and `data-x`; None leaves an attribute out.
    """
    return f"<{name}{_attributes(attributes)}>{content}</{name}>"


def _attributes(attributes: Mapping[str, str | None]) -> str:
    return "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
