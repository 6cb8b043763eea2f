"""Small random weights of CLIP4Clip's tight type, in the published layout."""

import torch
from xclip_small import CLIP, state

from xbench.scorers.clip.sizes import RetrievalSizes
from xbench.scorers.clip4clip.sizes import tight_shapes
from xbench.scorers.weights import State


def tight_state(layers: int = 2, positions: int = 16, seed: int = 0) -> State:
    """Return CLIP's towers and a cross encoder whose biases and norms all take part."""
    sizes = RetrievalSizes(
        CLIP, "tightTransf", words=1, frames=1, temporal_layers=layers, positions=positions
    )
    found = {name: tensor for name, tensor in state("meanP").items() if name.startswith("clip.")}
    generator = torch.Generator().manual_seed(seed)
    for name, shape in tight_shapes(sizes).items():
        if name not in found:
            noise = torch.randn(shape, generator=generator)
            gain = 1.0 if "ln_" in name and name.endswith("weight") else 0.0
            found[name] = gain + noise * (0.1 if len(shape) < 2 else 0.5 * shape[-1] ** -0.5)
    return found
