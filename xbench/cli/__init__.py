"""The command line: one file per command, imported only when that command is called."""

import atexit
import gc
import importlib
import os
import sys
import traceback
from typing import Any

import click

from xbench.errors import UsageError, XbenchError, did_you_mean
from xbench.interruption import interruptible
from xbench.version import __version__

# Before it ends, Python would look through everything that torch and transformers made.
atexit.register(gc.freeze)

UNEXPECTED = 70
"""Exit code of a fault in xbench itself (EX_SOFTWARE); 1 means that a regression was found."""

COMMANDS = {
    "run": "xbench.cli.run",
    "score": "xbench.cli.score",
    "diff": "xbench.cli.diff",
    "compare": "xbench.cli.compare",
    "check": "xbench.cli.check",
    "leaderboard": "xbench.cli.leaderboard",
    "report": "xbench.cli.report",
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
    "score": "Metrics of a similarity matrix that you already have.",
    "diff": "Compare a result with the published numbers of its protocol.",
    "compare": "Whether saved runs differ by more than chance.",
    "check": "Fail when a result is worse than its baseline: the gate for CI.",
    "leaderboard": "Rank results, beside published claims if asked.",
    "report": "One result as a page: curves, ranks, hubs, the worst captions with pictures.",
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
    """Turns every user error into one message on stderr and its exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            with interruptible():
                return super().main(*args, **{**kwargs, "standalone_mode": False})
        except XbenchError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(error.exit_code)
        except click.ClickException as error:
            error.show()
            sys.exit(UsageError.exit_code)
        except (KeyboardInterrupt, click.Abort):
            click.echo("Stopped. Unless --no-cache was given, the same command goes on from here.", err=True)
            sys.exit(130)
        except BrokenPipeError:  # the reader of a pipe, e.g. `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        except Exception:
            traceback.print_exc()
            click.echo("This is a fault of xbench: please report it with the lines above.", err=True)
            sys.exit(UNEXPECTED)


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xbench")
def main() -> None:
    """Evaluate video-text retrieval models on MSR-VTT, MSVD, LSMDC, DiDeMo and ActivityNet.

    Example: xbench run --model xclip --dataset didemo --checkpoint pytorch_model.bin.4
    """
