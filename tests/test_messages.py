"""docs/messages.md lists every message of the code as it is, each under its error class and exit code."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_spec = importlib.util.spec_from_file_location("make_messages", ROOT / "tools" / "make_messages.py")
assert _spec is not None
assert _spec.loader is not None
make_messages = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_messages)

CLASSES = make_messages.error_classes()
MESSAGES = make_messages.messages(set(CLASSES))


def test_the_page_is_what_the_code_says() -> None:
    page = (ROOT / "docs" / "messages.md").read_text("utf-8")
    assert page == make_messages.page(MESSAGES, CLASSES), "run python tools/make_messages.py"


def test_every_error_class_ends_with_a_documented_exit_code() -> None:
    assert {kind.exit_code for kind in CLASSES.values()} <= {1, 2, 3, 4}
    assert all(kind.__doc__ for kind in CLASSES.values())


def test_messages_are_read_off_every_room() -> None:
    assert len(MESSAGES) > 200
    rooms = {message.room.split(".")[0] for message in MESSAGES}
    assert {"cli", "data", "engine", "metrics", "pipeline", "registry", "reports", "scorers"} <= rooms
