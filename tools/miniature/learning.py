"""The three stages of training: the image tower alone, all that follows it, everything together."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from miniature.pool import FRAMES, WORDS, Bunch, Example, normalised
from xbench.data.miniature.backdrop import BACKDROPS
from xbench.data.miniature.colour import PALETTE
from xbench.data.miniature.dice import Dice
from xbench.data.miniature.drawing import SHAPES
from xbench.data.miniature.scene import look
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.xclip.model import XClipModel, place

Report = Callable[[str], None]


@dataclass(frozen=True)
class Drawn:
    """Bunches of training scenes with their frames, uint8 [F, 3, S, S] each."""

    bunches: list[Bunch]
    pixels: list[list[NDArray[np.uint8]]]


@dataclass(frozen=True)
class Plan:
    """How long and how fast a stage learns."""

    steps: int
    batch: int
    rate: float


def learn_images(model: XClipModel, drawn: Drawn, plan: Plan, report: Report) -> None:
    """Teach the image tower to tell what is in a frame: shapes, their colours and places, the backdrop.

    A linear layer reads them off the frame feature; it is thrown away afterwards. Contrastive learning alone
    stays for long at telling backdrops apart, which is what most pairs of clips differ in.
    """
    frames = np.concatenate([clip for bunch in drawn.pixels for clip in bunch])
    facts = torch.stack([_facts(example, time) for bunch in drawn.bunches for example in bunch for time in example.times])
    shapes, colours = len(SHAPES), len(PALETTE)
    reader = nn.Linear(model.sizes.clip.embed, shapes * (4 + colours) + len(BACKDROPS))
    chooser = np.random.Generator(np.random.PCG64(1))

    def loss() -> torch.Tensor:
        rows = chooser.integers(0, len(frames), plan.batch)
        told = reader(model.images(normalised(frames[rows])))
        truth = facts[torch.from_numpy(rows)]
        seen = truth[:, :shapes]
        there, where, colour, backdrop = told.split([shapes, shapes * 3, shapes * colours, len(BACKDROPS)], 1)
        places = truth[:, shapes : 4 * shapes].unflatten(1, (3, shapes))
        offsets = (functional.smooth_l1_loss(where.unflatten(1, (3, shapes)), places, reduction="none", beta=0.1)).sum(1)
        named = functional.cross_entropy(
            colour.unflatten(1, (colours, shapes)), truth[:, 4 * shapes : 5 * shapes].long(), reduction="none"
        )
        return (
            functional.binary_cross_entropy_with_logits(there, seen, reduction="none").sum(1).mean()
            + ((named + 4 * offsets) * seen).sum(1).mean()
            + functional.cross_entropy(backdrop, truth[:, -1].long())
        )

    tower = [*model.towers.clip.vision_model.parameters(), *model.towers.clip.visual_projection.parameters()]
    _descend("images", [*tower, *reader.parameters()], loss, plan, report)


def _facts(example: Example, time: float) -> torch.Tensor:
    """Presence, x, y, radius and colour for each shape, then the backdrop: float32 [5 * shapes + 1]."""
    shapes, palette = list(SHAPES), list(PALETTE)
    facts = torch.zeros(5, len(shapes))
    for index, actor in enumerate(example.scene.actors):
        now = look(example.scene, index, time)
        if now.opacity > 0.3:
            colour = now.towards if now.turned > 0.5 else now.colour
            values = (1.0, 2 * now.x - 1, 2 * now.y - 1, 10 * now.radius - 1.4, palette.index(colour))
            facts[:, shapes.index(actor.shape)] = torch.tensor(values)
    return torch.cat([facts.flatten(), torch.tensor([float(list(BACKDROPS).index(example.scene.backdrop))])])


@torch.inference_mode()
def encode_pool(model: XClipModel, drawn: Drawn) -> list[list[torch.Tensor]]:
    """Return the frame features [F, D] of every clip of every bunch."""
    return [[model.images(normalised(clip)) for clip in bunch] for bunch in drawn.pixels]


def learn_matching(
    model: XClipModel,
    bunches: Sequence[Bunch],
    features: Sequence[Sequence[torch.Tensor]],
    tokenizer: ClipTokenizer,
    plan: Plan,
    report: Report,
) -> None:
    """Teach text tower, temporal transformer and similarity to match captions with frozen frame features."""
    batches = _batches(len(bunches), bunches, plan.batch)
    dice = Dice("matching")
    with torch.inference_mode():
        empty = model.images(torch.zeros(1, 3, model.sizes.clip.image, model.sizes.clip.image))[0]
    empty = empty.clone()

    def loss() -> torch.Tensor:
        chosen = next(batches)
        examples = [example for index in chosen for example in bunches[index]]
        clips = [clip for index in chosen for clip in features[index]]
        mask = _mask([len(clip) for clip in clips])
        return _contrast(model, place(torch.cat(clips).clone(), mask, empty), mask, examples, tokenizer, dice)

    frozen = {id(p) for p in model.towers.clip.vision_model.parameters()}
    frozen |= {id(p) for p in model.towers.clip.visual_projection.parameters()}
    learned = [p for p in _parameters(model) if id(p) not in frozen]
    _descend("matching", learned, loss, plan, report)


def learn_all(
    model: XClipModel, drawn: Drawn, tokenizer: ClipTokenizer, plan: Plan, report: Report
) -> None:
    """Train everything together, frames included, as X-CLIP is trained."""
    batches = _batches(len(drawn.bunches), drawn.bunches, plan.batch)
    dice = Dice("all")

    def loss() -> torch.Tensor:
        chosen = next(batches)
        examples = [example for index in chosen for example in drawn.bunches[index]]
        clips = [clip for index in chosen for clip in drawn.pixels[index]]
        mask = _mask([len(clip) for clip in clips])
        frames = torch.cat([normalised(np.concatenate(clips)), torch.zeros(1, *clips[0].shape[1:])])
        encoded = model.images(frames)
        return _contrast(model, place(encoded[:-1], mask, encoded[-1]), mask, examples, tokenizer, dice)

    _descend("all", _parameters(model), loss, plan, report)


def _contrast(
    model: XClipModel,
    images: torch.Tensor,
    mask: torch.Tensor,
    examples: Sequence[Example],
    tokenizer: ClipTokenizer,
    dice: Dice,
) -> torch.Tensor:
    """InfoNCE over the batch, both ways (equation 13 to 15 of the paper)."""
    tokens = tokenizer.batch([example.text(dice) for example in examples], WORDS)
    logits = model.aosm(*model.texts(tokens), *model.videos(images, mask))
    own = torch.arange(len(logits))
    return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2


def _mask(lengths: Sequence[int]) -> torch.Tensor:
    return torch.arange(FRAMES) < torch.tensor(lengths)[:, None]


def _batches(count: int, bunches: Sequence[Bunch], size: int) -> Iterator[list[int]]:
    """Yield bunches that fill a batch; no two scenes of it mean the same."""
    chooser = np.random.Generator(np.random.PCG64(2))
    while True:
        chosen: list[int] = []
        meanings: set[object] = set()
        while len(meanings) < size:
            index = int(chooser.integers(0, count))
            new = {example.scene.meaning() for example in bunches[index]}
            if not new & meanings:
                chosen.append(index)
                meanings |= new
        yield chosen


def _parameters(model: XClipModel) -> list[nn.Parameter]:
    """All that a forward pass uses; the towers hold CLIP's own logit scale, which X-CLIP's replaces."""
    return [p for name, p in model.named_parameters() if name != "towers.clip.logit_scale"]


def _descend(
    stage: str,
    parameters: Sequence[nn.Parameter],
    loss: Callable[[], torch.Tensor],
    plan: Plan,
    report: Report,
) -> None:
    """AdamW with a linear warm-up and a cosine to zero; matrices decay, vectors do not."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.02},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98))
    shown = 0.0
    for step in range(plan.steps):
        rate = plan.rate * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / plan.steps))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        value = loss()
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        shown = float(value.detach()) if step == 0 else 0.95 * shown + 0.05 * float(value.detach())
        if (step + 1) % 100 == 0:
            report(f"{stage}: step {step + 1} of {plan.steps}, loss {shown:.3f}")
