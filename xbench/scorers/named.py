"""Models named in checkpoints.yaml, as requests for the scorer that they name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from xbench.errors import ModelError, UsageError, XbenchError, did_you_mean
from xbench.registry.checkpoints import VARIABLE, Named, checkpoints
from xbench.registry.download import fetched
from xbench.registry.pins import Pin, record_pin
from xbench.scorers.arguments import ModelRequest, parameters_of
from xbench.scorers.clip.kinds import FAMILY, kind_of, refuse_other_models
from xbench.scorers.weights import read_weights
from xbench.storage import file_sha256
from xbench.terms import Precision


def resolve_named(
    request: ModelRequest, entry: Named, find: Callable[[str], Callable[..., Any]]
) -> ModelRequest:
    """Return the request for the scorer of an entry, with its weights and settings; the user's options win.

    find: gives the builder of a scorer's name. Fetches what has a url. Raises UsageError for options that the
    entry sets already and for settings that are none, ModelError for weights that are not the listed ones.
    """
    given = [flag for flag in ("checkpoint", "clip") if getattr(request, flag) is not None]
    if given:
        raise UsageError(f"{request.name} brings its own weights: leave --{given[0]} out.")
    unnamed = checkpoints().unnamed.get(request.name)
    if unnamed is not None and ":" in entry.scorer:
        raise UsageError(
            f"The entry {request.name} of {unnamed} runs code, {entry.scorer}, and you did not name that "
            f"file, which may have come with a download. If it is yours, set {VARIABLE}={unnamed}."
        )
    try:
        builder = find(entry.scorer)
    except XbenchError as error:
        raise type(error)(f"The scorer of the entry {request.name} of checkpoints.yaml: {error}") from error
    settings = dict(entry.settings)
    precision = _precision(request.name, settings.pop("precision", None))
    bpe = settings.pop("bpe", None)
    weights = place(request.name, entry)
    takes = parameters_of(builder)
    option = "checkpoint" if "checkpoint" in takes else "clip"
    return replace(
        request,
        name=entry.scorer,
        checkpoint=Path(weights) if weights and option == "checkpoint" else None,
        clip=weights if weights and option == "clip" else None,
        bpe=request.bpe or (Path(str(bpe)) if bpe else None),
        precision=request.precision or precision,
        args=settings | dict(request.args),
    )


def _precision(name: str, wanted: Any) -> Precision | None:
    if wanted is None:
        return None
    known: tuple[Precision, ...] = get_args(Precision)
    for precision in known:
        if precision == wanted:
            return precision
    raise UsageError(
        f"The entry {name} of checkpoints.yaml: there is no precision {wanted!r}. Known: {', '.join(known)}."
    )


def place(name: str, entry: Named) -> str | None:
    """Return where the weights of an entry are (a path, a backbone or a hub id), fetching those with a url.

    Raises ModelError when a file is missing or is not the listed one, UsageError for an unknown backbone.
    """
    listed = entry.listed
    if listed is not None:
        return str(fetched(listed, f"Download it by hand and give its path as `file` of {name}."))
    if entry.clip is not None and entry.clip not in checkpoints().clip:
        raise UsageError(
            f"The entry {name} of checkpoints.yaml: there are no CLIP weights {entry.clip!r}."
            f"{did_you_mean(entry.clip, checkpoints().clip)}"
        )
    if entry.by_hand is not None and entry.file is None:
        raise ModelError(
            f"The weights of {name} are downloaded by hand, and nobody has published their hash: get the "
            f"file from {entry.by_hand} (xbench models show {name} tells which), and pin it once: xbench "
            f"models pin {name} FILE."
        )
    if entry.file is None:
        return entry.clip or entry.hub
    path = Path(entry.file)
    if not path.exists():
        raise ModelError(
            f"The weights of {name} are not there: {path}. Put them there, or correct its entry."
        )
    if entry.sha256 is not None and (found := file_sha256(path)) != entry.sha256:
        which, advice = "checkpoints.yaml lists", "correct the entry"
        if entry.by_hand is not None:
            which, advice = "was pinned", f"pin this one: xbench models pin {name} {path} --replace"
        raise ModelError(
            f"{path} is not the file that {which} for {name}: its sha256 is {found}, expected "
            f"{entry.sha256}. Put that one there, or {advice}."
        )
    return str(path)


def pin_weights(name: str, path: Path, *, replace: bool) -> Pin:
    """Pin a file that the user downloaded by hand to its entry, by its sha256, and return the pin.

    replace: whether another file may be pinned already. Raises UsageError for an entry that is not downloaded
    by hand, ModelError for a file that is damaged or another model's.
    """
    entry = checkpoints().checkpoints.get(name)
    if entry is None:
        known = checkpoints().checkpoints
        raise UsageError(f"checkpoints.yaml lists no {name!r}.{did_you_mean(name, known)}")
    if entry.by_hand is None:
        raise UsageError(f"{name} is not downloaded by hand, so there is nothing to pin: run it as it is.")
    weights = read_weights(path)
    if entry.scorer in FAMILY:
        refuse_other_models(weights.state, str(path), entry.scorer)
        if kind_of(weights.state) is None:
            raise ModelError(
                f"{path} holds no checkpoint of {entry.scorer} (its parameters: "
                f"{', '.join(list(weights.state)[:3])}, ...), which {name} is: download that "
                f"from {entry.by_hand}."
            )
    pin = Pin(file=str(path.absolute()), sha256=weights.file.sha256)
    record_pin(name, pin, replace=replace)
    return pin
