"""Full, closed and unread streams: a run goes on, what was saved is told from what could not be shown."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from xbench.cli import main

NEVER_THERE = 3


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which $X is xbench."""
    return subprocess.run(
        ["bash", "-c", line],
        env=os.environ | {"X": f"{sys.executable} -m xbench"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_full_stdout_is_told_with_exit_code_3() -> None:
    done = shell("$X datasets list > /dev/full")
    assert done.returncode == 3
    assert "stdout cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_ends_with_141_and_nothing_said() -> None:
    done = shell("$X datasets show msrvtt | true; echo ${PIPESTATUS[0]}")
    assert (done.stdout, done.stderr) == ("141\n", "")


def test_closed_streams_stop_nothing() -> None:
    done = shell("$X datasets list 2>&- <&- && $X datasets list >&- && $X datasets list >&- 2>&- <&-")
    assert done.returncode == 0
    assert "msrvtt" in done.stdout
    assert done.stderr == ""


def test_a_full_or_closed_stderr_hides_messages_and_not_exit_codes(tmp_path: Path) -> None:
    for end in ("2>/dev/full", "2>&-", "2> >(true)"):
        assert shell(f"$X diff {tmp_path}/none.json {end}").returncode == NEVER_THERE


def test_a_file_opened_while_a_stream_is_closed_is_not_written_to_as_that_stream(tmp_path: Path) -> None:
    closed = shell(f"$X miniature {tmp_path}/a --dataset lsmdc 2>&- >&- <&-")
    opened = shell(f"$X miniature {tmp_path}/b --dataset lsmdc")
    assert (closed.returncode, opened.returncode) == (0, 0)
    assert shell(f"diff -r {tmp_path}/a {tmp_path}/b").returncode == 0


@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "dumb"},
        {"NO_COLOR": "1"},
        {"COLUMNS": "20"},
        {"LANG": "C", "LC_ALL": "C"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=str,
)
def test_any_terminal_will_do(environment: dict[str, str]) -> None:
    done = shell("$X datasets show didemo && $X run --help", **environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_character_of_a_file_name_moves_the_cursor(tmp_path: Path) -> None:
    name = "x\x1b[2K\x1b]0;pwned\x07\x9b31m\u202e.json"
    (tmp_path / name).write_text("{}")
    result = CliRunner().invoke(main, ["diff", str(tmp_path / name)])
    assert result.exit_code == 3
    assert "x\\u001b[2K\\u001b]0;pwned\\u0007\\u009b31m\\u202e.json" in result.stderr
    assert not set(result.output) & set("\x1b\x07\x9b\u202e")


def test_json_on_stdout_keeps_its_values() -> None:
    value = "\x9b31m\u202e\u200d"

    @click.command()
    def show() -> None:
        click.echo(json.dumps({"a": value}, ensure_ascii=False))

    main.add_command(show, "show-json")
    main.get_command = lambda ctx, name: show  # type: ignore[method-assign]
    try:
        result = CliRunner().invoke(main, ["run"])
    finally:
        del main.get_command
    assert json.loads(result.stdout) == {"a": value}
    assert "\u202e" not in result.stdout


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_a_command_with_its_own_code(number: signal.Signals, code: int) -> None:
    @click.command()
    def stop() -> None:
        signal.raise_signal(number)

    main.get_command = lambda ctx, name: stop  # type: ignore[method-assign]
    before = signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    try:
        result = CliRunner().invoke(main, ["run"])
    finally:
        del main.get_command
        signal.signal(number, before)
    assert result.exit_code == code
    assert "Stopped." in result.stderr


def test_a_command_started_with_sigint_ignored_leaves_it_ignored() -> None:
    done = shell("trap '' INT; $X datasets list >/dev/null & wait $!; exit $?")
    assert done.returncode == 0
    seen: list[object] = []

    @click.command()
    def look() -> None:
        seen.append(signal.getsignal(signal.SIGINT))
        signal.raise_signal(signal.SIGINT)

    main.get_command = lambda ctx, name: look  # type: ignore[method-assign]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        result = CliRunner().invoke(main, ["run"])
    finally:
        del main.get_command
        signal.signal(signal.SIGINT, before)
    assert (result.exit_code, seen) == (0, [signal.SIG_IGN])
