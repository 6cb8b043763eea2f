"""Every failure that a user can cause, each with the exit code of the command line.

0 fine, 1 regression found, 2 usage, 3 data (missing, corrupt, wrong), 4 model or checkpoint.
A message says what was wrong, where, and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class XbenchError(Exception):
    """Base of the errors that end in one message on stderr and an exit code, never in a traceback."""

    exit_code = 1


class RegressionError(XbenchError):
    """A check that found a metric worse than its baseline allows."""

    exit_code = 1


class UsageError(XbenchError):
    """A wrong option, an unknown name, or options that do not go together."""

    exit_code = 2


class DataError(XbenchError):
    """Annotations, videos, scores or results that are missing, corrupt or wrong."""

    exit_code = 3


class ModelError(XbenchError):
    """A model, checkpoint or vocabulary that is missing, corrupt or does not fit."""

    exit_code = 4


def require_choice(what: str, value: str, known: Iterable[str]) -> None:
    """Raise UsageError unless `value` is one of `known`; `what` names the option."""
    names = list(known)
    if value not in names:
        raise UsageError(f"{what} {value!r} does not exist.{did_you_mean(str(value), names)}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ' Did you mean X?' with the closest of `known`, else ' Known: A, B, ...'."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(names)}."
