"""docs/messages.md lists every message of the code as it is, and each says what, where and what to do."""

import re
from pathlib import Path

import pytest

from tools import make_messages
from tools.message_templates import Message, messages

ROOT = Path(__file__).resolve().parent.parent
CLASSES = make_messages.error_classes()
MESSAGES = messages(ROOT / "xbench", CLASSES.keys())

VERBS = (
    "add|allow|ask|check|choose|clear|compute|copy|correct|download|evaluate|fetch|free|get|give|install|keep|leave|make|"
    "measure|mend|move|name|pass|print|put|raise|remove|rename|replace|report|run|save|say|score|see|send|set|start|"
    "try|unset|use|wait|wrap|write"
)
# An imperative that begins a sentence or follows a colon, a comma and the like; or the form that was wanted.
_TO_DO = re.compile(
    rf"(?:^|[.:;,?)'>] |\bor |\band |\bthen )(?:{VERBS})\b|\bexpected\b|\bmust (?:be|depend|have|hold)\b"
    r"|Did you mean|Known: |what to do about it>",
    re.IGNORECASE,
)
# A path, id, option or value that is filled in, or the option, variable, function or part that is meant.
_PLACE = re.compile(
    r"<\w|--\w|XBENCH_|xbench|\.yaml|stdout|GPU|memory|bank|path|card|\bits\b|record|similarity|right item"
    r"|caption_to_video"
)


def test_the_page_is_what_the_code_says() -> None:
    page = (ROOT / "docs" / "messages.md").read_text("utf-8")
    assert page == make_messages.text(), "run python -m tools.make_messages"


def test_every_error_class_has_an_exit_code_and_an_example_that_was_run() -> None:
    assert {kind.exit_code for kind in CLASSES.values()} <= {1, 2, 3, 4}
    assert all(kind.__doc__ for kind in (*CLASSES.values(), *make_messages.inner_classes().values()))
    shown = make_messages.examples()
    assert shown.keys() == CLASSES.keys() - {"XbenchError"}, "the base is never raised"
    assert all(said.startswith("Error: ") and len(said) > 20 for _, said in shown.values())


def test_messages_are_read_off_every_room() -> None:
    rooms = {message.room.split(".")[0] for message in MESSAGES}
    named = {"cli", "data", "engine", "metrics", "pipeline", "registry", "reports", "scorers", "video"}
    assert named <= rooms
    assert {message.error for message in MESSAGES} == CLASSES.keys() - {"XbenchError"}
    assert len({message.place for message in MESSAGES}) > 350


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.place)
def test_a_message_says_what_was_wrong_where_and_what_to_do(message: Message) -> None:
    assert len(message.text.split()) >= 4 or message.text.startswith("<what the system refused")
    assert _PLACE.search(message.text), f"{message.place} names no place: {message.text}"
    assert _TO_DO.search(message.text), f"{message.place} does not say what to do: {message.text}"


@pytest.mark.parametrize(
    "text",
    [
        "<path> is empty.",
        "the similarity has <rows> rows and there are <captions> captions",
        "<name> is a file whose use is not known.",
    ],
)
def test_a_message_without_advice_is_found(text: str) -> None:
    assert not _TO_DO.search(text)
