"""What a pair of a text and a video costs in X-CLIP, and random weights and features to score."""

import torch

from xbench.scorers.clip.sizes import ClipSizes
from xbench.scorers.weights import State
from xbench.scorers.xclip.load import initial_state, random_clip

WIDTH = 512
_CLIP = ClipSizes(WIDTH, 32, 32, 64, 1, 77, 514, WIDTH, 4)


def flop_of_a_pair(words: int, frames: int) -> int:
    """Floating point operations of the products that a pair's four similarities cannot do without."""
    per_number = words * frames + words + frames + 1
    return 2 * (WIDTH * per_number + words * words * frames + frames * frames * words)


def random_state(words: int, frames: int) -> State:
    """Return random weights, four temporal layers, the learned matrices near the identity as trained ones."""
    state = initial_state(random_clip(_CLIP), words=words, frames=frames, source="random")
    generator = torch.Generator().manual_seed(0)
    for name in state:
        if "_mat_weight" in name or "_logit_weight" in name:
            state[name] += 0.02 * torch.randn(state[name].shape, generator=generator)
    return state
