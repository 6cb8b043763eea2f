"""The first of two stages, as the options of a run name it: a saved matrix, or a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xbench.errors import DataError, UsageError, XbenchError, require_choice
from xbench.pipeline import options
from xbench.pipeline.matrix_file import MatrixFile
from xbench.registry.datasets import Protocol
from xbench.scorers import base, catalog
from xbench.scorers.base import Scorer
from xbench.scorers.catalog import ModelRequest, ResolvedModel, require_scorer
from xbench.storage import user_path
from xbench.terms import Precision, Ties, choices

CANDIDATES = 128
"""Of each query, unless --k says otherwise."""
_KINDS = (".npy", ".npz", ".safetensors", ".pt", ".pth", ".parquet")
"""A name that ends so is a file, also when it is not there."""
_FILES = ("checkpoint", "bpe")
_OWN = ("checkpoint", "clip", "bpe", "precision")
"""What --first-args says that is no argument of the model itself."""


@dataclass(frozen=True, kw_only=True)
class FirstStage:
    """What finds the candidates, and how many of them a second stage scores for each query."""

    source: MatrixFile | ResolvedModel | Scorer
    k: int


@dataclass(frozen=True, kw_only=True, eq=False)
class FirstScoresPlan:
    """The same where the second stage's scores are there already. source: a file, or a matrix in memory."""

    source: Any
    k: int


def refuse_contradictions(values: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise UsageError for options of two stages that do not go together, and for those of one stage alone.

    values: as read; given: as they came, without what was left out.
    """
    if given.get("rerank") is None:
        for name in ("first", "first_args", "rows", "k"):
            if given.get(name) is not None:
                raise UsageError(
                    f"{options.flag(name)} is about two stages: name the second, too: --rerank MODEL."
                )
        return
    if given.get("model") is not None:
        raise UsageError(
            "--rerank takes the place of --model, and options of a model are about it: name what finds the "
            "candidates with --first FILE or --first MODEL."
        )
    if given.get("first") is None:
        raise UsageError(
            "--rerank MODEL needs what finds the candidates: give --first FILE, a saved similarity matrix, or"
            " --first MODEL, which scores all pairs."
        )
    if values["save_similarity"] is not None:
        raise UsageError(f"--save-similarity saves the score of every pair, and {_SOME}: leave it out.")
    if values["ray"] is not None:
        raise UsageError("--rerank scores in this process: leave --ray out.")
    _refuse_one_stage(values)


_SOME = "a second stage scores some pairs only"


def _refuse_one_stage(values: Mapping[str, Any]) -> None:
    """Raise UsageError for ways of counting that mean nothing where only some pairs have a score."""
    if values["post"] != "none":
        raise UsageError(f"--post {values['post']} needs the score of every pair, and {_SOME}: leave it out.")
    if values["ties"] is Ties.REFERENCE:
        raise UsageError(
            "--ties reference counts as the published code does, which has no second stage: leave it out."
        )


def plan_first(values: Mapping[str, Any], first: Any, protocol: Protocol, small: Path | None) -> FirstStage:
    """Return the first stage that options name; `first` is a path, a model's name or an object.

    small: the folder of the miniature's weights, where it is run. Raises UsageError for a name or options
    that do not fit, DataError for a matrix that is not there, ModelError for weights that are not.
    """
    k = values["k"] or CANDIDATES
    if not isinstance(first, str | Path):
        _refuse_args(values, "is an object and has its own arguments", ("first_args", "rows"))
        return FirstStage(source=require_scorer(first, type(first).__name__), k=k)
    if is_file(str(first)):
        _refuse_args(values, "is a file", ("first_args",))
        path = user_path(first)
        if not path.is_file():
            raise DataError(
                f"--first: there is no file {path}: give a similarity matrix, or the name of a model."
            )
        return FirstStage(source=MatrixFile(path, values["rows"]), k=k)
    _refuse_args(values, "is a model", ("rows",))
    try:
        found = catalog.resolve(_request(values, str(first), protocol, small))
    except XbenchError as error:
        raise type(error)(f"--first {first}: {error}") from error
    if not base.info_of(found).needs_videos:
        raise UsageError(
            f"--first {first} scores what is in files: save its matrix with --save-similarity FILE, and give "
            "that file as --first."
        )
    return FirstStage(source=found, k=k)


def of_scores(values: Mapping[str, Any], first: Any) -> FirstScoresPlan | None:
    """Return the first stage of scores that are there already: a file, or a matrix in memory; None without.

    Raises UsageError for options that do not go together, DataError for a file that is not there.
    """
    if first is None:
        if values["k"] is not None:
            raise UsageError("--k is how many candidates --first gives a second stage: give that, too.")
        return None
    _refuse_one_stage(values)
    k = values["k"] or CANDIDATES
    if not isinstance(first, str | Path):
        return FirstScoresPlan(source=first, k=k)
    path = user_path(first)
    if not path.is_file():
        raise DataError(f"--first: there is no file {path}: give the matrix of the first stage.")
    return FirstScoresPlan(source=MatrixFile(path, values["rows"]), k=k)


def is_file(first: str) -> bool:
    """Whether --first names a matrix rather than a model."""
    return first.endswith(_KINDS) or (":" not in first and user_path(first).is_file())


def _refuse_args(values: Mapping[str, Any], what: str, names: tuple[str, ...]) -> None:
    for name in names:
        if values[name] is not None:
            raise UsageError(f"{options.flag(name)}: --first {what}: leave it out.")


def _request(values: Mapping[str, Any], name: str, protocol: Protocol, small: Path | None) -> ModelRequest:
    args = dict(values["first_args"] or {})
    own = {key: args.pop(key) for key in _OWN if key in args}
    if "precision" in own:
        require_choice("The precision", own["precision"], choices(Precision))
    own |= {key: user_path(own[key]) for key in _FILES if key in own}
    return ModelRequest(
        name=name,
        args=args,
        device=values["device"],
        words=protocol.words,
        frames=protocol.frames,
        miniature=small,
        **own,
    )
