"""Text that is only text, wherever it is shown: terminal, spreadsheet, Markdown, LaTeX, HTML, XML.

What stands in a file (a caption, a name, a path) may move the cursor, hide or reorder what is read, be a
formula or markup. Each function makes it harmless for one medium; characters that cannot be seen are shown as
`\\u202e`.
"""

import re
import unicodedata
from html import escape

_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # controls; ESC and CSI among them
    "\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff0-\uffff\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # formats: bidi, zero width, tags
    "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # letters that are empty
    "\ud800-\udfff]"  # halves of a pair, as in names that are no UTF-8
)
_LATEX = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''{}",
    **{char: f"{{{char}}}" for char in "[]*"},  # else options of the end of a row
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
    "×": r"$\times$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "→": r"$\to$",
    "−": "$-$",
    "µ": r"$\mu$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
}
_LIGATURES = {"--", "``", "''", "?`", "!`"}
_ACCENTS = dict(
    zip(
        "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327",
        "`'^~=u.\"rHvc",
        strict=True,
    )
)
"""Combining marks, and the accents that every font of LaTeX has."""
_BEFORE_A_FORMULA = ("\t", "\r")
"""Some spreadsheets take what follows these for a cell of its own."""


def visible(text: str, keep: str = "") -> str:
    """Return text in which every character can be seen, but for those of `keep`.

    The escapes are JSON's: a JSON text with them means the same.
    """
    return _UNSEEN.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def for_terminal(text: str) -> str:
    """Return one line that moves no cursor and hides nothing."""
    return visible(text)


def for_cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe goes before one.

    A formula may hide behind blanks of any kind, and its sign may be a wide or small form.
    """
    seen = _UNSEEN.sub(" ", text).lstrip()
    sign = unicodedata.normalize("NFKC", seen[:1]).replace("\N{MINUS SIGN}", "-")
    return f"'{text}" if sign in ("=", "+", "-", "@") or text.startswith(_BEFORE_A_FORMULA) else text


def for_markdown(text: str) -> str:
    """Return one line in which nothing is markup, HTML or a table's bar."""
    flat = visible(" ".join(text.split()))
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#~" else char for char in flat).replace("&", "&amp;")


def for_latex(text: str) -> str:
    """Return one line in which nothing is a command, and that pdfLaTeX has letters for.

    What it has none for is shown as `\\u4e2d`.
    """
    flat = visible(" ".join(text.split()))
    pairs = map("".join, zip(f" {flat}", flat, strict=False))
    return "".join(("{}" if pair in _LIGATURES else "") + _latex(pair[1]) for pair in pairs)


def _latex(char: str) -> str:
    if char in _LATEX:
        return _LATEX[char]
    if char.isascii():
        return char
    apart = unicodedata.normalize("NFD", char)
    if len(apart) == 2 and apart[0].isascii() and apart[1] in _ACCENTS:
        return f"\\{_ACCENTS[apart[1]]}{{{apart[0]}}}"
    return "".join(_LATEX.get(each, each) for each in _escaped(char))


def for_html(text: str) -> str:
    """Return text for an element or a quoted attribute. Templates that escape need only `visible`."""
    return escape(visible(text, keep="\n\t"))


def for_xml(text: str) -> str:
    """Return text that XML 1.0 can hold; the writer escapes the markup."""
    return visible(text, keep="\n\t")
