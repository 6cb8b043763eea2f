"""X-Pool's similarity: a video's frames pooled by each caption, without ever holding a pooled vector.

The published code makes a vector of width D for each pair of a caption and a video: 38 GB for 27,763
captions and 670 videos. Behind the attention's softmax all is linear in its weights w, over the slots j of a
video (its frames, once a head), but for two LayerNorms and the last norm,
and these need sums of squares only: quadratic forms in w, which are the video's own.

x_j: a slot's value behind the output projection; c_j: x_j less its mean. The first of the two LayerNorms
gives gamma2 (sum_j w_j c_j) / p + beta2 with p^2 = w' (c c' / D) w + eps. The residual step is linear and
gives (sum_j w_j r_j + p s) / p; let r_j and s stand for themselves less their means. The second LayerNorm
gives gamma3 (sum_j w_j r_j + p s) / q + beta3 with q^2 = u' (r r' / D) u + eps p^2 over u = (w, p) and
r = (r_j, s). So, up to its length, the pooled vector is sum_j w_j e_j + p e_s + q beta3, where e = gamma3 r.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional

from xbench.scorers.clip.sizes import Shapes
from xbench.scorers.clip.towers import unit

PREFIX = "pool_frames."
_EPS = 1e-5
"""LayerNorm's epsilon."""
_LINEAR = (*(f"cross_attn.{name}_proj" for name in ("q", "k", "v", "out")), "linear_proj")
_NORMS = ("layer_norm1", "layer_norm2", "layer_norm3")


def pooling_shapes(width: int) -> Shapes:
    """Return the names and shapes of the pooling's parameters."""
    sides: Shapes = dict.fromkeys(_LINEAR, (width, width)) | dict.fromkeys(_NORMS, (width,))
    weights: Shapes = {f"{PREFIX}{name}.weight": side for name, side in sides.items()}
    return weights | {f"{PREFIX}{name}.bias": (width,) for name in sides}


@dataclass(frozen=True)
class Videos:
    """V videos of J slots each, as the similarity wants them."""

    keys: torch.Tensor
    """[V J, D]: whose products with a query are the attention's logits."""
    parts: torch.Tensor
    """[V J, D]: e_j."""
    forms: torch.Tensor
    """[V, J, 3 J + 3]: the quadratic forms of p, of q and of the length; then what is linear in w: in q with
    s, in the length with e_s and with beta3."""


class Pooling:
    """The learned pooling, on one device."""

    def __init__(self, state: Mapping[str, torch.Tensor], heads: int, device: torch.device) -> None:
        """Take `pool_frames.*` from a checkpoint; its width must be a multiple of `heads`."""
        self.heads = heads
        self._state = {name: state[name].to(device) for name in pooling_shapes(1)}
        (_, beta), (gamma, self._last) = self._of("layer_norm2"), self._of("layer_norm3")
        self._constant = _centred(beta + functional.linear(beta, *self._of("linear_proj")))
        self._constant_part = gamma * self._constant

    def queries(self, texts: torch.Tensor) -> torch.Tensor:
        """Return what texts [T, D] ask frames for, [T, D]."""
        return functional.linear(self.norm(texts), *self._of("cross_attn.q_proj"))

    def norm(self, features: torch.Tensor) -> torch.Tensor:
        """The one LayerNorm that texts and frames [..., D] have in common."""
        return functional.layer_norm(features, features.shape[-1:], *self._of("layer_norm1"), _EPS)

    def videos(self, frames: torch.Tensor) -> Videos:
        """Do everything that videos [V, F, D] cost."""
        seen, gamma = self.norm(frames), self._of("layer_norm3")[0]
        keys = functional.linear(seen, *self._of("cross_attn.k_proj"))
        centred = _centred(self.projected(functional.linear(seen, *self._of("cross_attn.v_proj"))))
        spread = self._of("layer_norm2")[0] * centred
        rest = _centred(spread + spread @ self._of("linear_proj")[0].T)
        parts = gamma * rest
        width = (frames.shape[-1] // self.heads) ** 0.5
        return Videos(
            (self._apart(keys) / width).flatten(0, 1),
            parts.flatten(0, 1),
            self._forms(centred, rest, parts),
        )

    def projected(self, values: torch.Tensor) -> torch.Tensor:
        """Return x [V, J, D] of values [V, F, D]; heads share the bias, as weights of each add up to 1."""
        weight, bias = self._of("cross_attn.out_proj")
        return functional.linear(self._apart(values), weight, bias / self.heads)

    def weights(self, queries: torch.Tensor, videos: Videos) -> torch.Tensor:
        """Return the attention's weights [V, T, J]."""
        count, slots, _ = videos.forms.shape
        logits = (queries @ videos.keys.T).view(len(queries), count, self.heads, slots // self.heads)
        return torch.softmax(logits, dim=-1).flatten(2).transpose(0, 1)

    def scores(self, texts: torch.Tensor, videos: Videos) -> torch.Tensor:
        """Return the cosines [T, V] of texts [T, D] with the videos as each of them pools them."""
        weights, own = self.weights(self.queries(texts), videos), unit(texts)
        slots = weights.shape[-1]
        sums = torch.bmm(weights, videos.forms)
        squares = (sums[..., : 3 * slots].view(*sums.shape[:2], 3, slots) * weights[..., None, :]).sum(dim=-1)
        p, q = self._scales(squares, sums[..., 3 * slots])
        length = self._length(squares[..., 2], sums[..., 3 * slots + 1 :], p, q)
        products = (own @ videos.parts.T).view(len(own), -1, slots).transpose(0, 1)
        constant, last = (own @ torch.stack([self._constant_part, self._last]).T).unbind(dim=1)
        found = (weights * products).sum(dim=-1) + p * constant + q * last
        return (found / length).T

    def _scales(self, squares: torch.Tensor, linear: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return p and q [V, T]."""
        p = (squares[..., 0] + _EPS).sqrt()
        constant = self._constant.square().mean() + _EPS
        return p, (squares[..., 1] + 2 * p * linear + p.square() * constant).sqrt()

    def _length(
        self, square: torch.Tensor, linear: torch.Tensor, p: torch.Tensor, q: torch.Tensor
    ) -> torch.Tensor:
        """Return the length [V, T] of the pooled vectors, times q."""
        e, last = self._constant_part, self._last
        mixed = p * linear[..., 0] + q * linear[..., 1] + p * q * (e @ last)
        return (square + 2 * mixed + p.square() * (e @ e) + q.square() * (last @ last)).sqrt()

    def _forms(self, centred: torch.Tensor, rest: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
        width = centred.shape[-1]
        vectors = torch.stack([self._constant_part, self._last])
        return torch.cat(
            [
                centred @ centred.mT / width,
                rest @ rest.mT / width,
                parts @ parts.mT,
                (rest @ self._constant)[..., None] / width,
                parts @ vectors.T,
            ],
            dim=-1,
        )

    def _apart(self, frames: torch.Tensor) -> torch.Tensor:
        """Turn [V, F, D] into slots [V, J, D]: once for each head, zero outside of its part of the width."""
        if self.heads == 1:
            return frames
        videos, length, width = frames.shape
        apart = frames.new_zeros(videos, self.heads, length, self.heads, width // self.heads)
        for head in range(self.heads):
            apart[:, head, :, head] = frames.view(videos, length, self.heads, -1)[:, :, head]
        return apart.view(videos, self.heads * length, width)

    def _of(self, layer: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self._state[f"{PREFIX}{layer}.weight"], self._state[f"{PREFIX}{layer}.bias"]


def _centred(vectors: torch.Tensor) -> torch.Tensor:
    return vectors - vectors.mean(dim=-1, keepdim=True)
