"""The command line: one file per command, imported only when that command is called."""

import atexit
import gc
import importlib
import signal
import sys
import traceback
from typing import Any

import click

from xbench.errors import DataError, UsageError, XbenchError, did_you_mean
from xbench.errors import explain as _explain  # the command `explain` is a module of that name here
from xbench.interruption import ReaderGone, Terminated, interruptible, safe_streams
from xbench.version import __version__

# Before it ends, Python would look through everything that torch and transformers made.
atexit.register(gc.freeze)

UNEXPECTED = 70
"""Exit code of a fault in xbench itself (EX_SOFTWARE); 1 means that a regression was found."""
READER_GONE = 141
"""Exit code when nobody reads stdout any more, as a shell tells it of SIGPIPE."""

COMMANDS = {
    "run": "xbench.cli.run",
    "sweep": "xbench.cli.sweep",
    "score": "xbench.cli.score",
    "diff": "xbench.cli.diff",
    "compare": "xbench.cli.compare",
    "check": "xbench.cli.check",
    "verify": "xbench.cli.verify",
    "leaderboard": "xbench.cli.leaderboard",
    "report": "xbench.cli.report",
    "show": "xbench.cli.show",
    "queries": "xbench.cli.queries",
    "explain": "xbench.cli.explain",
    "label": "xbench.cli.label",
    "datasets": "xbench.cli.datasets",
    "models": "xbench.cli.models",
    "cache": "xbench.cli.cache",
    "doctor": "xbench.cli.doctor",
    "miniature": "xbench.cli.miniature",
}
"""Command name -> the module whose attribute `command` is the click command."""

_SUMMARIES = {
    "run": "Evaluate a model on a benchmark: features, similarity, ranks, metrics, diff with the paper.",
    "sweep": "Choose among checkpoints on a validation set, and score the chosen one once.",
    "score": "Metrics of a similarity matrix that you already have.",
    "diff": "Compare a result with the published numbers of its protocol.",
    "compare": "Whether saved runs differ by more than chance.",
    "check": "Fail when a result is worse than its baseline: the gate for CI.",
    "verify": "Whether results prove themselves, and encode a sample again: for whoever keeps a board.",
    "leaderboard": "Rank results, beside published claims if asked.",
    "report": "One result as a page: curves, ranks, hubs, the worst captions with pictures.",
    "show": "All that a saved result says, every reason and list in full.",
    "queries": "List the queries behind a number: the worst, those of a condition, those another run wins.",
    "explain": "What the score of a caption and a video is made of, and what attends to what.",
    "label": "Give a saved result another name.",
    "datasets": "The benchmarks and protocols: list, show, verify a copy, fetch annotations.",
    "models": "The models that can be evaluated, your own included: list, show, fetch, verify.",
    "cache": "List or clear the cached features.",
    "doctor": "What this installation is and whether it can work: for a report of a fault.",
    "miniature": "Write the small rendered benchmarks out, to look at and to try things on.",
}


class _LazyGroup(click.Group):
    """Lists the commands without importing them: `xbench --help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise UsageError(f"There is no command {args[0]!r}.{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _SUMMARIES[name]) for name in COMMANDS])


class _Root(_LazyGroup):
    """The boundary: every failure ends in one message on stderr and its exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with safe_streams():
            try:
                with interruptible():
                    result = super().main(*args, **{**kwargs, "standalone_mode": False})
                sys.stdout.flush()
            except (Exception, KeyboardInterrupt, ReaderGone) as error:
                sys.exit(_end(error))
            return result

    def invoke(self, ctx: click.Context) -> Any:
        """What the operating system refuses is told here: click takes some of it for a closed pipe."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            raise DataError(_explain(error)) from error


def _end(error: BaseException) -> int:
    """Say what ended the command, and return the exit code."""
    if isinstance(error, ReaderGone):
        return READER_GONE
    if isinstance(error, click.ClickException):
        error.show()
        return UsageError.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        click.echo("Stopped. Unless --no-cache was given, the same command goes on from here.", err=True)
        asked = error.__cause__ if isinstance(error, click.Abort) else error
        return 128 + (asked.args[0] if isinstance(asked, Terminated) else signal.SIGINT)
    named = _named(error)
    if named is not None:
        click.echo(f"Error: {named}", err=True, color=True)
        return named.exit_code
    traceback.print_exception(error)
    click.echo("This is a fault of xbench: please report it with the lines above.", err=True)
    return UNEXPECTED


def _named(error: BaseException) -> XbenchError | None:
    """Return the error that a user can understand; None for a fault of xbench."""
    if isinstance(error, XbenchError):
        return error
    if isinstance(error, OSError):
        return DataError(_explain(error))
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # of pathlib
        return DataError(f"{error}: links lead in a circle there. Name another path.")
    if isinstance(error, MemoryError):
        return DataError("The memory is not enough. Give fewer --workers and less --memory.")
    if isinstance(error, ValueError) and ("null byte" in str(error) or "null character" in str(error)):
        return UsageError("A path with a zero byte in it can be no path. Name another one.")
    return None


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"], "color": True})
@click.version_option(__version__, prog_name="xbench")
def main() -> None:
    """Evaluate video-text retrieval models on MSR-VTT, MSVD, LSMDC, DiDeMo and ActivityNet.

    Example: xbench run --model xclip --dataset didemo --checkpoint pytorch_model.bin.4
    """
