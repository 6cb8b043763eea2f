"""The pairs of a second stage: each text with its candidates, every distinct pair once, kept when it is done.

The unit is a text with all its videos, in pieces of the scorer's block width: whatever an earlier run had
done already, a pair is scored in the same company and gets the same bits. Videos with equal features are
scored once for a text, so that copies tie exactly.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xbench.engine.encoding import FeatureTable
from xbench.engine.grid import Ints, Probe, Probed, require_contract
from xbench.engine.ledger import Ledger
from xbench.scorers.base import Features, PairScorer
from xbench.storage import scratch

_TEXTS, _VIDEOS = 4, 3
"""So many texts are scored again with so many of their videos each, to see whether others play a part."""
_SEED = 20220715


def score_candidates(
    scorer: PairScorer,
    texts: FeatureTable,
    videos: FeatureTable,
    wanted: Iterable[tuple[int, Ints]],
    *,
    ledger: Path | None = None,
    memory: int = 1 << 30,
    on_pairs: Callable[[int], None] = lambda count: None,
) -> NDArray[np.float32]:
    """Return the scores of all pairs, end to end, float32.

    wanted: texts, each with its videos int64 [K]. ledger: a folder for this scoring alone, in which the
    scores of finished texts are kept; what is there is not scored again. memory: bytes of video features that
    may be held. on_pairs is told how many more pairs are done.

    Raises ModelError when some pairs, scored again beside others, get other scores: see `require_contract`.
    """
    asked = list(wanted)
    shelf = _Shelf(videos, memory)
    found: list[NDArray[np.float32]] = []
    with ExitStack() as stack:
        kept = stack.enter_context(closing(Ledger(ledger or stack.enter_context(scratch()))))
        for text, chosen in asked:
            known = kept.get("candidates", (text,))
            if known is None:
                known = {"scores": _score(scorer, texts.rows(text, text + 1), chosen, shelf)}
                kept.put("candidates", (text,), known)
            found.append(known["scores"].numpy())
            on_pairs(len(chosen))
    _require_pairs(scorer, texts, videos, dict(zip((text for text, _ in asked), found, strict=True)), asked)
    return np.concatenate(found)


def _score(scorer: PairScorer, text: Features, chosen: Ints, shelf: "_Shelf") -> torch.Tensor:
    """Score a text with its videos: float32 [K] on the CPU."""
    distinct, back = np.unique(shelf.same[chosen], return_inverse=True)
    width = scorer.block[1]
    parts = [
        scorer.similarity(text, shelf.features(distinct[start : start + width])).detach()[0]
        for start in range(0, len(distinct), width)
    ]
    return torch.cat(parts).to("cpu", torch.float32)[torch.from_numpy(back)]


class _Shelf:
    """Features of videos, held in memory as far as they fit."""

    def __init__(self, videos: FeatureTable, memory: int) -> None:
        self._videos, self._memory = videos, memory
        self._held: dict[int, Features] = {}
        self._size = 0
        names = videos.names()
        first = {name: index for index, name in reversed(list(enumerate(names)))}
        self.same: Ints = np.array([first[name] for name in names], dtype=np.int64)
        """int64 [V]: the first video that has the features of each."""

    def features(self, which: Ints) -> Features:
        """Return the features of some videos, end to end."""
        rows = [self._row(int(video)) for video in which]
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}

    def _row(self, video: int) -> Features:
        if video in self._held:
            return self._held[video]
        row = self._videos.rows(video, video + 1)
        self._size += sum(tensor.numel() * tensor.element_size() for tensor in row.values())
        if self._size <= self._memory:
            self._held[video] = row
        return row


def _require_pairs(
    scorer: PairScorer,
    texts: FeatureTable,
    videos: FeatureTable,
    found: Mapping[int, NDArray[np.float32]],
    asked: list[tuple[int, Ints]],
) -> None:
    """Score some pairs again, all in one small block, and compare."""
    random = np.random.default_rng(_SEED)
    probed = []
    for index in random.permutation(len(asked))[:_TEXTS]:
        text, chosen = asked[int(index)]
        some = random.permutation(len(chosen))[:_VIDEOS]
        scores = torch.from_numpy(found[text])
        finite = scores[torch.isfinite(scores)]
        span = float(finite.max() - finite.min()) if len(finite) else 0.0
        probe = Probe((0, 0), np.array([text]), chosen[some])
        probed.append(Probed(probe, scores[torch.from_numpy(some)][None], span))
    require_contract(scorer, texts, videos, probed)
