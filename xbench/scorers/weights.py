"""Weight files: opened once, hashed, checked, and which of their tensors are a model's.

Files are {"state_dict": ..., "epoch": ...} or the like, with names behind `module.`, `_orig_mod.`, `model.`;
they hold an exponential average beside the weights, or adapters that stand for weights. What is only wrapping
is taken off and told; what would be a choice is not made for the user.
"""

import hashlib
import pickle
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal

import torch

from xbench.errors import ModelError, XbenchError, explain
from xbench.progress import say
from xbench.readers import check_safetensors, check_torch, open_file, require_backed

State = dict[str, torch.Tensor]
"""A state dict: parameter name -> tensor."""

Which = Literal["model", "ema"]
"""Of a file with both: the weights as trained, or their exponential moving average."""

_HOLDERS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params")
"""Names under which training code keeps a state dict."""
_TRANSPARENT = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""What torch puts into the names of modules that it wraps, anywhere in a name."""
_OUTER = ("module", "model", "net", "network", "online_model", "_forward_module")
"""The attributes under which wrappers and training modules keep a model, at the beginning of its names."""
_AVERAGES = frozenset({"ema", "swa", "averaged"})
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_COUNTERS = frozenset({"n_averaged", "num_updates", "initted", "step", "decay"})
"""What averaging classes keep beside the weights."""
_ADAPTER = re.compile(
    r"(^|\.)(lora_|ia3_|oft_|hada_|vera_|base_layer\.|modules_to_save\.|base_model\.model\.)"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SHOWN = 5
_SAVE = "Save the state dict alone: torch.save(model.state_dict(), ...)."


def may_be_hub_id(source: str) -> bool:
    """Whether it is written as a model on a hub is named, `org/model`; so is many a path."""
    return _HUB_ID.fullmatch(source) is not None


@dataclass(frozen=True)
class Found:
    """A model's tensors, and what was done to find them: sentences for the record."""

    state: State
    notes: tuple[str, ...] = ()


def find_state(loaded: Any, source: str, which: Which | None = None) -> Found:
    """Return the state dict in what a file held, without what wraps it.

    source: the file, for messages. which: says what to take from a file with an average of the weights beside
    them. Raises ModelError when there is no state dict, when there are several and nothing says which, and
    when its tensors are those of adapters.
    """
    place, state = _chosen(loaded, source, which)
    average = f"the weights are the average under {place!r}" if _is_average(place) else ""
    if not average:
        state, average = _one_of_two(state, source, which)
    if which == "ema" and not average:
        raise ModelError(f"{source} holds no average of its weights: leave --model-args weights=ema out.")
    state, wrappers = _unwrapped(state, source)
    _refuse_adapters(state, source)
    taken_off = f"taken off all names: {', '.join(wrappers)}" if wrappers else ""
    return Found(state, tuple(note for note in (average, taken_off) if note))


def require_finite(state: Mapping[str, torch.Tensor], source: str) -> None:
    """Raise ModelError naming the parameters that hold NaN or infinity. Masks may: attention's do."""
    bad = [name for name, tensor in state.items() if not _is_mask(name) and not _is_finite(tensor)]
    if bad:
        more = f" and {len(bad) - _SHOWN} more" if bad[_SHOWN:] else ""
        raise ModelError(
            f"{source} holds NaN or infinite values in {', '.join(bad[:_SHOWN])}{more}: its training "
            "diverged, or the file is damaged. Pass an earlier checkpoint."
        )


def _is_finite(tensor: torch.Tensor) -> bool:
    """A finite sum tells that all terms are, in one pass and no memory; another may have overflowed."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or not tensor.numel():
        return True
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def _is_mask(name: str) -> bool:
    return "mask" in name.rpartition(".")[2].split("_")


def _chosen(loaded: Any, source: str, which: Which | None) -> tuple[str, State]:
    """Return the one state dict that is meant, and the keys on the way to it."""
    if not isinstance(loaded, Mapping):
        raise ModelError(f"{source} holds a {type(loaded).__name__}, not a state dict. {_SAVE}")
    found = dict(_candidates(loaded))
    if not found:
        raise ModelError(f"{source} holds no state dict: its entries are {_listed(loaded)}. {_SAVE}")
    own = [place for place in found if not _is_average(place)]
    averages = [place for place in found if _is_average(place)]
    if which == "model" and not own:
        raise ModelError(f"{source} holds only an average of weights: leave --model-args weights=model out.")
    if own and averages and which is None:
        raise ModelError(_both(source, own[0], averages[0]))
    places = averages if averages and (which == "ema" or not own) else own
    if len(places) > 1:
        raise ModelError(f"{source} holds several state dicts: {', '.join(places)}. Save one alone.")
    return places[0], found[places[0]]


def _candidates(loaded: Mapping[Any, Any], place: str = "") -> Iterator[tuple[str, State]]:
    """Yield every state dict under names that training code uses, with the keys on the way to it."""
    tensors = {str(key): value for key, value in loaded.items() if isinstance(value, torch.Tensor)}
    if loaded and len(tensors) == len(loaded):
        yield place, tensors
        return
    for key, value in loaded.items():
        if isinstance(value, Mapping) and (key in _HOLDERS or _is_average(str(key))):
            yield from _candidates(value, f"{place}.{key}" if place else str(key))


def _one_of_two(state: State, source: str, which: Which | None) -> tuple[State, str]:
    """Tell weights from their average where one state dict holds both as modules; also what was taken."""
    averages = sorted({prefix for name in state if (prefix := _average_prefix(name))})
    if not averages:
        if "n_averaged" not in state:
            return state, ""
        return _without_counters(state), "the weights are an average (n_averaged)"
    if len(averages) > 1:
        raise ModelError(f"{source} holds several averages: {', '.join(averages)}. Save one alone.")
    start = averages[0]
    rest = _without_counters({name: state[name] for name in state if not name.startswith(start)})
    if rest and which is None:
        raise ModelError(_both(source, next(iter(rest)), start))
    if rest and which == "model":
        return rest, f"the weights are those beside the average {start!r}"
    own = {name.removeprefix(start): state[name] for name in state if name.startswith(start)}
    return _without_counters(own), f"the weights are the average under {start!r}"


def _without_counters(state: State) -> State:
    return {name: tensor for name, tensor in state.items() if name not in _COUNTERS}


def _average_prefix(name: str) -> str:
    """The module of a name that is an average, with what stands before it: `model_ema.`; else empty."""
    parts = name.split(".")[:-1]
    last = next((index for index, part in enumerate(parts) if _is_average(part)), None)
    return "" if last is None else ".".join(parts[: last + 1]) + "."


def _is_average(name: str) -> bool:
    return any(word.lower() in _AVERAGES for word in _WORD.findall(name))


def _both(source: str, model: str, average: str) -> str:
    return (
        f"{source} holds weights ({model}) and an average of them ({average}), which score differently: say "
        "which, --model-args weights=model or --model-args weights=ema."
    )


def _unwrapped(state: State, source: str) -> tuple[State, list[str]]:
    """Take wrappers' names off, as far as they are none of the model's own; also which those were."""
    parts = {name: name.split(".") for name in state}
    wrappers = [name for name in _TRANSPARENT if any(name in each for each in parts.values())]
    short = {name: [part for part in each if part not in _TRANSPARENT] for name, each in parts.items()}
    while short and (first := next(iter(short.values()))[0]) in _OUTER:
        if not all(each[0] == first and each[1:] for each in short.values()):
            break
        wrappers.append(first)
        short = {name: each[1:] for name, each in short.items()}
    renamed = {".".join(short[name]): tensor for name, tensor in state.items()}
    if len(renamed) != len(state):
        raise ModelError(
            f"{source} holds some weights twice, with and without {', '.join(wrappers)}: save them once."
        )
    return renamed, [f"{name}." for name in wrappers]


def _refuse_adapters(state: State, source: str) -> None:
    names = [name for name in state if _ADAPTER.search(name)]
    if names:
        raise ModelError(
            f"{source} holds adapters of PEFT ({names[0]}; {len(names)} names of {len(state)}), not the "
            "weights that they change: merge them (model.merge_and_unload()) and save the merged model's "
            "state_dict()."
        )


def _listed(loaded: Mapping[Any, Any]) -> str:
    return ", ".join(repr(key) for key in list(loaded)[:_SHOWN]) or "none"


__all__ = ["State", "WeightFile", "Weights", "Which", "checked_archive", "read_weights", "require_sound"]

_ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class WeightFile:
    """The file that weights came from, for records and caches."""

    path: Path
    sha256: str
    notes: tuple[str, ...] = ()
    """What was done to find the weights in it, and what nobody can check."""
    which: Which | None = None
    """What was taken of a file that holds more."""

    @property
    def version(self) -> str:
        """What tells these weights from all others."""
        return self.sha256 if self.which is None else f"{self.sha256} {self.which}"

    @property
    def settings(self) -> dict[str, str]:
        """The notes as a setting of the record; none without them."""
        return {"weights": "; ".join(self.notes)} if self.notes else {}


@dataclass(frozen=True)
class Weights:
    """What a weight file holds, and which file that was: hashed and read in one opening."""

    file: WeightFile
    state: State


def read_weights(path: Path, trusted: frozenset[str] = frozenset(), *, which: Which | None = None) -> Weights:
    """Read a state dict from a torch file (`weights_only`) or a safetensors file, whatever its name is.

    Half-precision tensors are upcast to float32. What training code wraps around a state dict and puts before
    its names is taken off, see `find_state`, also for `which`. trusted: the sha256 of TorchScript archives
    that may be opened, although they can hold code.

    Raises ModelError, naming the file, when it is missing, truncated or foreign, when its checksums tell that
    it is damaged, and when a parameter is NaN or infinite.
    """
    with _opened(path) as file:
        _limit(file, path)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        head = file.read(512)
        file.seek(0)
        notes = checked_archive(file, path, ModelError) if head[:4] == _ZIP else ()
        loaded = _loaded(file, path, head, sha256, trusted)
    found = find_state(loaded, str(path), which)
    _require_backed(found.state, path)
    require_finite(found.state, str(path))
    return Weights(WeightFile(path, sha256, (*notes, *found.notes), which), _as_float32(found.state))


def require_sound(path: Path) -> None:
    """Raise ModelError for a torch archive whose content is not what its checksums say."""
    with _opened(path) as file:
        _limit(file, path)
        if file.peek(4)[:4] == _ZIP:
            checked_archive(file, path, ModelError)


def checked_archive(file: BufferedReader, path: Path, refuse: type[XbenchError]) -> tuple[str, ...]:
    """Hold what a zip archive contains against its CRC-32; say so where it was written without them.

    Raises `refuse` naming the damaged entry. torch does not look at them when it loads.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if not any(entry.CRC for entry in archive.infolist()):
                say(f"{path} was written without checksums: damage to it would not be seen.")
                return ("written without checksums",)
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise refuse(_truncated(path)) from error
    finally:
        file.seek(0)
    if damaged is not None:
        raise refuse(
            f"{path} is damaged: the content of {damaged} in it is not what its checksum says. Download or "
            "copy it again, and compare its sha256 with the source's."
        )
    return ()


def _limit(file: BufferedReader, path: Path) -> None:
    """Refuse what would cost more than weights do, before anything in it is unpacked."""
    head = file.peek(9)
    try:
        if head[8:9] == b"{":
            check_safetensors(file)
        elif head[:4] == _ZIP or head[:1] == b"\x80":
            check_torch(file)
    except (ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{_truncated(path)} ({error})") from error


def _loaded(file: BufferedReader, path: Path, head: bytes, sha256: str, trusted: frozenset[str]) -> Any:
    if head[8:9] == b"{":
        return _read_safetensors(file, path)
    if head[:4] != _ZIP and head[:1] != b"\x80":
        raise ModelError(f"{path} is not a weight file: {_what_it_looks_like(head)}.")
    if head[:4] == _ZIP and _holds_code(file):
        if sha256 in trusted:
            return _read_archive(file)
        raise ModelError(
            f"{path} is a TorchScript archive with the sha256 {sha256}, which is not in checkpoints.yaml. "
            "Such an archive can run code when it is opened, so xbench opens OpenAI's published ones only, "
            f"where CLIP weights are asked for. {_SAVE}"
        )
    return _read_torch(file, path)


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        file = open_file(path)
    except FileNotFoundError as error:
        raise ModelError(f"There is no weight file {path}: check the path.") from error
    except OSError as error:
        raise ModelError(f"The weight file {path} cannot be read: {explain(error)}") from error
    except ValueError as error:
        raise ModelError(f"The weight file cannot be read ({error}): give a file.") from error
    with file:
        yield file


def _holds_code(file: BufferedReader) -> bool:
    """Whether a zip archive is TorchScript's, which holds code besides weights."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    file.seek(0)
    return any(name.split("/")[1:2] == ["constants.pkl"] for name in names)


def _read_archive(file: BufferedReader) -> Any:
    archive: torch.nn.Module = torch.jit.load(file, map_location="cpu")  # type: ignore[no-untyped-call]
    return archive.state_dict()


def _read_torch(file: BufferedReader, path: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} cannot be opened as plain weights: it is damaged or holds objects other than tensors, "
            f"and xbench does not run code from a file. {_SAVE}"
        ) from error
    except Exception as error:  # A damaged file can raise anything out of the unpickler.
        raise ModelError(_truncated(path)) from error


def _read_safetensors(file: BufferedReader, path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(file.read())
    except SafetensorError as error:
        raise ModelError(_truncated(path)) from error


def _truncated(path: Path) -> str:
    return f"{path} is truncated or corrupt ({path.stat().st_size} bytes): download or copy it again."


def _what_it_looks_like(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if not head:
        return "it is empty; copy or download it again"
    if text.startswith(b"<"):
        return "it is an HTML page, as a failed download or a login page leaves behind; download it again"
    if text.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; fetch the file itself with `git lfs pull`"
    return "it is neither a torch file nor safetensors; pass one of these"


def _require_backed(state: State, path: Path) -> None:
    for name, tensor in state.items():
        try:
            require_backed(name, tensor)
        except ValueError as error:
            raise ModelError(f"{path} holds no weights: {error}. {_SAVE}") from error


def _as_float32(state: State) -> State:
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
