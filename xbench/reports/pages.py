"""What the HTML pages share: jinja2 templates with autoescape; one self-contained file each, no network."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from xbench.metrics.measures import parse_measure
from xbench.shown import visible

_HERE = Path(__file__).parent


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        finalize=_seen,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.globals["asset"] = asset
    environment.filters["measure"] = parse_measure
    return environment


def _seen(value: object) -> object:
    """Show what cannot be seen of a text; markup is the templates' own."""
    return visible(value, keep="\n\t") if isinstance(value, str) and not isinstance(value, Markup) else value


def render(template: str, **values: Any) -> Markup:
    """Return a template of templates/ with values put in; whatever is not markup already is escaped."""
    return Markup(_environment().get_template(template).render(**values))


class Table(NamedTuple):
    """A table of texts, and what is said above it."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    above: Sequence[str] = ()


def notebook(title: str, tables: Sequence[Table], notes: Sequence[str] = ()) -> str:
    """Return what a notebook shows of a value: HTML that stands inside another page."""
    return str(render("notebook.html", title=title, tables=tables, notes=notes))


def asset(name: str) -> Markup:
    """Return a style sheet or script of assets/, to be put inline."""
    return Markup((_HERE / "assets" / name).read_text(encoding="utf-8"))
