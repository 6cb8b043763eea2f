"""Evaluate a model in memory after every epoch of a plain PyTorch training loop.

    python examples/train_pytorch.py            # a toy model, random training data, the LSMDC miniature

`Retrieval` stands for your model and `batches` for your data. What matters is `AsScorer`, the adapter between
a model and xbench, and the call of `xbench.run` at the end of an epoch.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

import xbench
from xbench.scorers.base import Features, VideoInput

FRAMES, SIDE = 4, 32


class Retrieval(nn.Module):
    """A toy: letters of a caption against mean frames, both projected to 16 dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.text = nn.EmbeddingBag(256, 16)
        self.image = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3 * (SIDE // 8) ** 2, 16))

    def texts(self, captions: Sequence[str]) -> torch.Tensor:
        """[B, 16]"""
        rows = [torch.tensor(list(caption.encode()[:77]) or [0]) for caption in captions]
        offsets = torch.tensor([0, *map(len, rows[:-1])]).cumsum(0)
        return nn.functional.normalize(self.text(torch.cat(rows), offsets), dim=-1)

    def videos(self, frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """frames [B, F, 3, H, W], mask bool [B, F] -> [B, 16]"""
        features = self.image(frames.flatten(0, 1)).unflatten(0, mask.shape) * mask[..., None]
        return nn.functional.normalize(features.sum(1) / mask.sum(1, keepdim=True), dim=-1)


class AsScorer:
    """What xbench needs to know of a model. `identity` None: its features change, so none are cached."""

    name = "toy"
    video_input = VideoInput(size=SIDE, max_frames=FRAMES)
    identity = None
    block = (256, 256)

    def __init__(self, model: Retrieval, epoch: int) -> None:
        self.model, self.settings = model.eval(), {"epoch": epoch}

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Features:
        return {"text": self.model.texts(texts)}

    @torch.inference_mode()
    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        return {"video": self.model.videos(frames, mask)}

    def similarity(self, text: Features, video: Features) -> torch.Tensor:
        return text["text"] @ video["video"].T


def batches(count: int) -> Iterator[tuple[list[str], torch.Tensor, torch.Tensor]]:
    """Random captions, frames and masks, where your training data would be."""
    for _ in range(count):
        captions = ["".join(map(chr, row)) for row in torch.randint(97, 123, (8, 12)).tolist()]
        yield captions, torch.randn(8, FRAMES, 3, SIDE, SIDE), torch.ones(8, FRAMES, dtype=torch.bool)


def main(epochs: int = 2, **data: Any) -> list[xbench.Result]:
    """Train and evaluate; `data` goes to `xbench.run`: annotations=..., videos=... of a validation set."""
    torch.manual_seed(0)
    model = Retrieval()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    results = []
    for epoch in range(epochs):
        model.train()
        for captions, frames, mask in batches(4):
            logits = 20 * model.texts(captions) @ model.videos(frames, mask).T
            target = torch.arange(len(captions))
            loss = nn.functional.cross_entropy(logits, target) + nn.functional.cross_entropy(logits.T, target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        results.append(xbench.run(AsScorer(model, epoch), **{"dataset": "lsmdc", "miniature": True, **data}))
        print(f"epoch {epoch}: loss {loss.item():.2f}, {results[-1]!r}")
    return results


if __name__ == "__main__":
    main()
