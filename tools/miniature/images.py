"""The first stage: the image tower learns to tell what is in a frame.

Contrastive learning of captions and clips alone stays for hundreds of steps at telling backdrops apart, which
is what most clips of a batch differ in. X-CLIP too starts from image features that know what they see.
"""

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, smooth_l1_loss

from miniature.descent import Plan, Report, descend
from miniature.pool import Drawn, Example, normalised
from xbench.miniature.backdrop import BACKDROPS
from xbench.miniature.colour import PALETTE
from xbench.miniature.drawing import SHAPES
from xbench.miniature.scene import look
from xbench.scorers.xclip.model import XClipModel

_SHAPES, _COLOURS, _BACKDROPS = list(SHAPES), list(PALETTE), list(BACKDROPS)
_TOLD = [len(_SHAPES), 3 * len(_SHAPES), len(_COLOURS) * len(_SHAPES), len(_BACKDROPS)]


def learn_images(model: XClipModel, drawn: Drawn, plan: Plan, report: Report) -> None:
    """Train the image tower to show which shapes are in a frame, where, how large, how coloured.

    A linear layer reads it off the frame feature and is thrown away afterwards.
    """
    examples = [example for bunch in drawn.bunches for example in bunch]
    truth = torch.stack([_facts(example, time) for example in examples for time in example.times])
    reader = nn.Linear(model.sizes.clip.embed, sum(_TOLD))
    chooser = np.random.Generator(np.random.PCG64(1))

    def loss() -> torch.Tensor:
        rows = chooser.integers(0, len(drawn.frames), plan.batch)
        return _error(reader(model.images(normalised(drawn.frames[rows]))), truth[torch.from_numpy(rows)])

    descend([*tower(model), *reader.parameters()], loss, plan, report)


def tower(model: XClipModel) -> list[nn.Parameter]:
    """The parameters that an image feature depends on."""
    clip = model.towers.clip
    return [*clip.vision_model.parameters(), *clip.visual_projection.parameters()]


def _facts(example: Example, time: float) -> torch.Tensor:
    """Presence, x, y, radius and colour for each shape, then the backdrop: float32 [5 * shapes + 1]."""
    facts = torch.zeros(5, len(_SHAPES))
    for index, actor in enumerate(example.scene.actors):
        now = look(example.scene, index, time)
        if now.opacity > 0.3:
            colour = _COLOURS.index(now.towards if now.turned > 0.5 else now.colour)
            place = (2 * now.x - 1, 2 * now.y - 1, 10 * now.radius - 1.4)
            facts[:, _SHAPES.index(actor.shape)] = torch.tensor([1.0, *place, colour])
    return torch.cat([facts.flatten(), torch.tensor([float(_BACKDROPS.index(example.scene.backdrop))])])


def _error(told: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Sum over a frame of: presence of each shape; place and colour of those that are there; the backdrop."""
    there, place, colour, backdrop = told.split(_TOLD, dim=1)
    facts = truth[:, :-1].unflatten(1, (5, len(_SHAPES)))
    offset = smooth_l1_loss(place.view_as(facts[:, 1:4]), facts[:, 1:4], reduction="none", beta=0.1).sum(1)
    named = cross_entropy(
        colour.unflatten(1, (len(_COLOURS), len(_SHAPES))), facts[:, 4].long(), reduction="none"
    )
    seen = binary_cross_entropy_with_logits(there, facts[:, 0], reduction="none")
    each = seen + (named + 4 * offset) * facts[:, 0]
    return each.sum(1).mean() + cross_entropy(backdrop, truth[:, -1].long())
