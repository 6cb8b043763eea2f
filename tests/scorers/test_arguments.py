"""A model gets the options that it has parameters for, as its annotations want them."""

from pathlib import Path
from typing import Any, Literal

import pytest

from xbench.errors import UsageError
from xbench.scorers.arguments import Option, bind, parameters_of, read

OFFERED = {
    "checkpoint": Option(None),
    "device": Option("cpu"),
    "frames": Option(12, flag=False),
}


def with_checkpoint(path: str) -> dict[str, Option]:
    return OFFERED | {"checkpoint": Option(Path(path), chosen=True)}


def test_a_model_gets_what_it_has_parameters_for_and_nothing_else():
    def model(frames, depth=3):
        return None

    assert bind(model, "m", OFFERED, {}) == {"frames": 12}
    assert bind(model, "m", OFFERED, {"depth": "5", "frames": "8"}) == {"frames": 8, "depth": 5}


def test_classes_are_bound_by_their_constructor():
    class Model:
        def __init__(self, checkpoint: Path, *, device: str = "cuda"):
            pass

    assert bind(Model, "m", with_checkpoint("w.bin"), {}) == {"checkpoint": Path("w.bin"), "device": "cpu"}


def test_an_open_ended_model_gets_what_was_chosen_and_every_argument():
    def model(**anything):
        return None

    assert bind(model, "m", OFFERED, {"depth": "5"}) == {"depth": "5"}
    assert bind(model, "m", with_checkpoint("w.bin"), {}) == {"checkpoint": Path("w.bin")}


@pytest.mark.parametrize(
    ("options", "args", "said"),
    [
        (
            with_checkpoint("w.bin"),
            {},
            r"--model m has no --checkpoint: leave it out\. It takes --model-args depth=",
        ),
        (OFFERED, {"dept": "5"}, "no argument 'dept'. Did you mean 'depth'"),
        (OFFERED, {"depth": "deep"}, "depth=deep: expected int"),
        (OFFERED, {"device": "cuda"}, "give it as --device"),
    ],
)
def test_what_does_not_fit_is_told(options, args, said):
    def model(depth: int = 1):
        return None

    with pytest.raises(UsageError, match=said):
        bind(model, "m", options, args)


def test_what_a_model_needs_and_did_not_get_is_told():
    def from_weights(checkpoint):
        return None

    def deep(depth):
        return None

    with pytest.raises(UsageError, match="needs --checkpoint"):
        bind(from_weights, "m", OFFERED, {})
    with pytest.raises(UsageError, match="needs --model-args depth="):
        bind(deep, "m", OFFERED, {})


def annotated(
    *,
    whole: int,
    real: float,
    yes: bool,
    path: Path,
    one: Literal["a", "b"],
    maybe: int | None,
    several: tuple[int, ...],
):
    return None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("whole", "7", 7),
        ("real", "1e-3", 0.001),
        ("yes", "true", True),
        ("yes", "False", False),
        ("path", "a/b", Path("a/b")),
        ("one", "b", "b"),
        ("maybe", "3", 3),
        ("maybe", "None", None),
        ("several", "[1, 2]", (1, 2)),
    ],
)
def test_text_is_read_as_the_annotation_wants_it(name, text, value):
    found = read(text, parameters_of(annotated)[name], name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text"), [("whole", "7.5"), ("yes", "perhaps"), ("one", "c"), ("maybe", "x")]
)
def test_a_text_that_is_no_such_value_is_an_error(name, text):
    with pytest.raises(UsageError, match=f"--model-args {name}={text}: expected"):
        read(text, parameters_of(annotated)[name], name)


def loose(unknown: "NotDefinedAnywhere", anything: Any, real=0.5, switched=False, bare=None):  # noqa: F821
    return None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("unknown", "7", 7),
        ("anything", "x", "x"),
        ("real", "2", 2.0),
        ("switched", "no", False),
        ("bare", "null", None),
        ("bare", "text", "text"),
    ],
)
def test_without_a_usable_annotation_the_default_tells_the_type_and_else_json(name, text, value):
    assert read(text, parameters_of(loose)[name], name) == value
