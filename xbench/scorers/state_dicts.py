"""Which of the tensors in a loaded file are a model's, whatever training code wrapped them in.

Files are {"state_dict": ..., "epoch": ...} or the like, with names behind `module.`, `_orig_mod.`, `model.`;
they hold an exponential average beside the weights, or adapters that stand for weights. What is only wrapping
is taken off and told; what would be a choice is not made for the user.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from xbench.errors import ModelError

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
_COUNTERS = frozenset({"n_averaged", "num_updates", "initted", "step", "decay"})
"""What averaging classes keep beside the weights."""
_ADAPTER = re.compile(
    r"(^|\.)(lora_|ia3_|oft_|hada_|vera_|base_layer\.|modules_to_save\.|base_model\.model\.)"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SHOWN = 5


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
        raise ModelError(f"{source} holds a {type(loaded).__name__}, not a state dict.")
    found = dict(_candidates(loaded))
    if not found:
        raise ModelError(f"{source} holds no state dict: its entries are {_listed(loaded)}.")
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
        raise ModelError(f"{source} holds some weights twice, with and without {', '.join(wrappers)}.")
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
