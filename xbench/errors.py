"""Every failure that a user can cause, each with the exit code of the command line.

0 fine, 1 regression found, 2 usage, 3 data (missing, corrupt, wrong), 4 model or checkpoint.
A message says what was wrong, where, and what to do.
"""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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


_ACCESS = "Give this user access to it and to the folders above it, or name another path."
_SPACE = "Free space there, or name another place."
_OTHER = "Name another path."
_ADVICE = {
    errno.EACCES: _ACCESS,
    errno.EPERM: _ACCESS,
    errno.EROFS: "It cannot be written to: name another place.",
    errno.ENOENT: "Check the path: something on it is not there, or is there no more.",
    errno.ENOTDIR: "A file stands on the path where a folder is wanted.",
    errno.EISDIR: "A folder stands where a file is wanted.",
    errno.ENAMETOOLONG: "Name a shorter path.",
    errno.ELOOP: "Links lead in a circle there: name another path.",
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "Files may not grow that large here (ulimit -f, or the file system): name another place.",
    errno.ESTALE: "The file server has forgotten it: mount it again, or try once more.",
    errno.EIO: "The disk or the network reports a fault: try again, or name another place.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n), or give fewer --workers.",
    errno.ENFILE: "The machine has too many open files: close some programs.",
    errno.EBUSY: "Something else uses it: try again.",
    errno.ENOTEMPTY: "Something else writes there: try again.",
}


def explain(error: OSError) -> str:
    """Return what the operating system refused: which path, why, and what to do, in one line."""
    places = [str(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    reason = error.strerror or str(error) or type(error).__name__
    said = ": ".join([" -> ".join(places), reason]) if places else reason
    return f"{said}. {_ADVICE.get(error.errno or 0, _OTHER if places else 'Try again.')}"


@contextmanager
def os_errors(kind: type[XbenchError], what: str) -> Iterator[None]:
    """Turn an OSError within into `kind`, which says that `what` failed and what `explain` knows.

    Without it an OSError ends a command as a DataError.
    """
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {explain(error)}") from error


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
