"""The conformance check: a sound scorer passes, and each broken promise is found and named."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from click.testing import CliRunner, Result
from xclip_small import state, tokenizer

from xbench.cli import main
from xbench.scorers.base import VideoInput
from xbench.scorers.verify import Check, promises, verify
from xbench.scorers.verify.broken import BrokenError
from xbench.scorers.verify.trial import Trial
from xbench.scorers.xclip import XClip

FILE = Path(__file__).resolve().parent.parent / "plugin" / "xbench_colours" / "__init__.py"


def colours() -> Any:
    spec = importlib.util.spec_from_file_location("colours_to_break", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Colours()


def outcome(scorer: Any) -> dict[str, Check]:
    return {check.promise: check for check in verify(scorer)}


def broken(**members: Any) -> Any:
    """Return a sound scorer with some members replaced; functions get the sound ones as their first value."""
    scorer = colours()
    for name, value in members.items():
        original = getattr(scorer, name)
        takes_original = callable(value) and callable(original)
        setattr(scorer, name, (lambda *given, o=original, v=value: v(o, *given)) if takes_original else value)
    return scorer


def test_a_sound_scorer_keeps_every_promise() -> None:
    checks = outcome(colours())
    assert len(checks) == 13
    assert all(check.passed for check in checks.values())


def test_half_precision_features_and_masks_are_sound() -> None:
    def half(sound: Callable[..., Any], *given: Any) -> Any:
        features = sound(*given)
        return {"colour": features["colour"].half(), "mask": features["colour"] > 0}

    assert all(check.passed for check in outcome(broken(encode_texts=half, encode_videos=half)).values())


def dropout(sound: Callable[..., Any], *given: Any) -> Any:
    return {"colour": sound(*given)["colour"] + 0.01 * torch.rand(())}


def centred(sound: Callable[..., Any], *given: Any) -> Any:
    found = sound(*given)["colour"]
    return {"colour": found - found.mean(dim=0) if len(found) > 1 else found}


def by_place(sound: Callable[..., Any], *given: Any) -> Any:
    scores = sound(*given)
    return scores + torch.arange(scores.shape[1])


def soft(sound: Callable[..., Any], *given: Any) -> Any:
    return sound(*given).softmax(dim=0)


def ragged(sound: Callable[..., Any], texts: Any) -> Any:
    return {"words": torch.zeros(len(texts), max(len(text.split()) for text in texts), 3)}


def float64_when_many(sound: Callable[..., Any], *given: Any) -> Any:
    found = sound(*given)["colour"]
    return {"colour": found.double() if len(found) > 1 else found}


def limited(sound: Callable[..., Any], texts: Any) -> Any:
    if any(len(text) > 200 for text in texts):
        raise ValueError("text too long")
    return sound(texts)


def divided(sound: Callable[..., Any], frames: torch.Tensor, mask: torch.Tensor) -> Any:
    found = sound(frames, mask)["colour"]
    return {"colour": found / (mask.sum(dim=1, keepdim=True) - 1)}


@pytest.mark.parametrize(
    ("members", "promise", "said"),
    [
        ({"name": "a/b"}, "declares what it is", "without a slash"),
        ({"settings": {"device": torch.device("cpu")}}, "declares what it is", "JSON cannot"),
        ({"identity": "abc"}, "declares what it is", "identity is a str"),
        ({"block": (0, 4)}, "declares what it is", "two positive integers"),
        ({"video_input": {"size": 32}}, "declares what it is", "not a VideoInput"),
        ({"encode_texts": lambda sound, texts: sound(texts)["colour"]}, "encodes texts", "not a dict"),
        ({"encode_texts": lambda sound, texts: sound(texts[:1])}, "encodes texts", "the first must be 3"),
        ({"encode_texts": ragged}, "encodes texts", "pad, so that all items are alike"),
        ({"encode_texts": limited}, "encodes texts", "ValueError: text too long"),
        ({"encode_texts": float64_when_many}, "encodes texts", "torch.float64"),
        ({"encode_videos": divided}, "gives finite features", "video 2 of 3"),
        ({"encode_videos": dropout}, "encodes the same twice", "eval mode"),
        ({"encode_texts": centred}, "encodes an item alone", "change with its batch"),
        ({"similarity": lambda sound, *given: sound(*given).T[:, :2]}, "scores pairs", "[3, 2]"),
        ({"similarity": lambda sound, *given: sound(*given) > 0}, "scores pairs", "scores are floats"),
        ({"similarity": lambda sound, *given: sound(*given) / 0}, "scores pairs", "NaN or infinite"),
        ({"similarity": soft}, "scores a block as its pieces", "change with the block"),
        ({"similarity": by_place}, "scores a block as its pieces", "change with the block"),
    ],
)
def test_a_broken_promise_is_found_and_named(members: dict[str, Any], promise: str, said: str) -> None:
    checks = outcome(broken(**members))
    failed = [check for check in checks.values() if check.passed is False]
    assert failed[0].promise.startswith(promise)
    assert said in failed[0].said


def test_what_needs_a_broken_promise_is_not_tried() -> None:
    checks = outcome(broken(encode_videos=lambda sound, *given: 1 / 0))
    assert checks["encodes texts of any length"].passed
    assert checks["scores pairs"].passed is None


def test_scores_that_depend_on_the_order_of_a_block_are_found() -> None:
    """Every entry alone is right, and so is the first whole block."""
    whole: list[torch.Tensor] = []

    def similarity(sound: Callable[..., Any], *given: Any) -> Any:
        scores = sound(*given)
        if len(scores) > 1:
            whole.append(scores)
            return scores + float(not torch.equal(scores, whole[0]))
        return scores

    checks = outcome(broken(similarity=similarity))
    assert [check.promise for check in checks.values() if check.passed is False] == ["scores in any order"]


def pooled_by_own_caption(sound: Callable[..., Any], text: Any, video: Any) -> Any:
    """Let each video of a block see the caption in its place, as a published evaluation does."""
    seen = video["colour"].clone()
    count = min(len(seen), len(text["colour"]))
    seen[:count] += 0.5 * text["colour"][:count]
    return sound(text, {"colour": seen})


def test_a_video_that_sees_its_own_caption_is_found_among_noise(tmp_path: Path) -> None:
    def textual(sound: Callable[..., Any], texts: Any) -> Any:
        random = [torch.Generator().manual_seed(sum(map(ord, text))) for text in texts]
        return {"colour": torch.stack([torch.rand(3, generator=each) for each in random])}

    sound = outcome(broken(encode_texts=textual))
    assert all(check.passed for check in sound.values())
    whole_only = lambda sound, text, video: (  # noqa: E731  (passes whatever looks at few items)
        pooled_by_own_caption(sound, text, video) if len(text["colour"]) > 100 else sound(text, video)
    )
    checks = outcome(broken(encode_texts=textual, similarity=whole_only))
    failed = [check for check in checks.values() if check.passed is False]
    assert failed
    assert failed[0].promise in ("scores a full block as its pieces", "finds nothing in noise")
    trial = Trial(broken(encode_texts=textual, similarity=pooled_by_own_caption), 1e-3, tmp_path)
    with pytest.raises(BrokenError, match="t2v finds the right one among noise"):
        promises.chance(trial)
    with pytest.raises(BrokenError, match="do not move with their items"):
        promises.permuted(trial)


@pytest.mark.parametrize("most", [10, 100, 255])
def test_a_top_k_of_any_size_is_found(most: int) -> None:
    def cut(sound: Callable[..., Any], *given: Any) -> Any:
        scores = sound(*given)
        if scores.shape[1] <= most:
            return scores
        limit = scores.topk(most, dim=1).values[:, -1:]
        return scores.masked_fill(scores < limit, -1e4)

    checks = outcome(broken(similarity=cut))
    failed = [check for check in checks.values() if check.passed is False]
    assert failed[0].promise == "scores a full block as its pieces"


def test_features_that_do_not_survive_saving_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = safetensors.torch.load
    monkeypatch.setattr(
        "safetensors.torch.load",
        lambda data: {name: tensor.round(decimals=1) for name, tensor in loaded(data).items()},
    )
    checks = outcome(colours())
    failed = [check.promise for check in checks.values() if check.passed is False]
    assert failed == ["scores features that were saved and loaded"]


def test_a_frame_transform_is_tried_on_wide_and_high_frames() -> None:
    def sound(frame: Any) -> torch.Tensor:
        return torch.from_numpy(frame[:100, :100]).permute(2, 0, 1) / 255

    def uneven(frame: Any) -> torch.Tensor:
        return torch.from_numpy(frame).permute(2, 0, 1) / 255

    assert all(
        check.passed
        for check in outcome(broken(video_input=VideoInput(frame_transform=sound, max_frames=4))).values()
    )
    checks = outcome(broken(video_input=VideoInput(frame_transform=uneven, max_frames=4)))
    assert "all frames must come out alike" in checks["encodes videos, one frame and padded ones too"].said


def command(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["models", "verify", *arguments], catch_exceptions=False)


def test_the_command_tells_promise_by_promise_and_exits_with_4_for_a_broken_one(tmp_path: Path) -> None:
    sound = command(f"{FILE}:Colours", "--model-args", "frames=2")
    assert sound.exit_code == 0
    assert sound.stdout.count("ok  ") == 13
    assert "keeps the contract" in sound.stdout
    bad = tmp_path / "bad.py"
    bad.write_text(FILE.read_text().replace(".sum(dim=-1)", ".sum(dim=-1).softmax(dim=1)"))
    result = command(f"{bad}:Colours")
    assert result.exit_code == 4
    assert "FAIL  scores a block as its pieces" in result.stdout
    assert "breaks 1 of the promises above" in result.stderr


def test_the_command_refuses_what_encodes_nothing(tmp_path: Path) -> None:
    result = command("features")
    assert result.exit_code == 2
    assert "--text-features" in result.stderr


def test_x_clip_keeps_the_contract(tmp_path: Path) -> None:
    scorer = XClip(state(), tokenizer=tokenizer(tmp_path))
    assert [str(check) for check in verify(scorer) if not check.passed] == []
