"""Text from files is only text, in every medium."""

import json
import sys
import unicodedata
import xml.etree.ElementTree as ET

import pytest

from xbench.shown import for_cell, for_html, for_latex, for_markdown, for_terminal, for_xml, visible

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_every_control_and_format_character_of_unicode_is_shown_escaped() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        if unicodedata.category(char) in HIDDEN:
            assert for_terminal(char).startswith("\\u"), hex(code)
    for char in "a\xa0\xe9\u4e00\U0001f600\\'":
        assert for_terminal(char) == char


def test_an_escaped_json_text_means_the_same() -> None:
    value = "a\x85\u202e\u200b\U000e0041\x1b\ufeff"
    text = json.dumps(value, ensure_ascii=False)
    assert json.loads(visible(text)) == value
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize(
    "hidden_by", ["", " ", "\xa0", "\u200b", "\ufeff", "\x0b", "\n", "\t", "\r", "\u3000", "\u2028"]
)
@pytest.mark.parametrize(
    "sign", "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{SMALL HYPHEN-MINUS}\N{MINUS SIGN}"
)
def test_a_formula_is_defused_behind_any_blank_and_with_any_sign(hidden_by: str, sign: str) -> None:
    assert for_cell(f"{hidden_by}{sign}1+1").startswith("'")


def test_what_is_no_formula_stays() -> None:
    for text in ("a=1", "", "41.5", " a", "1+1"):
        assert for_cell(text) == text


def test_markup_is_text() -> None:
    assert for_markdown("a\nb &lt;") == "a b &amp;lt;"
    assert for_markdown("a\u202eb") == "a\\\\u202eb"
    assert for_latex("50% & {x}_1") == r"50\% \& \{x\}\_1"
    assert for_html("<b>\x1b\u202e") == "&lt;b&gt;\\u001b\\u202e"


def test_xml_can_be_written_and_read_whatever_the_text() -> None:
    element = ET.Element("a", name=for_xml("".join(map(chr, range(0x100))) + "\ud800\ufffe\U0001f600"))
    assert ET.fromstring(ET.tostring(element)).get("name", "").endswith("\\ud800\\ufffe\U0001f600")
