"""The golden matrices with the metrics that the published code gave for them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xbench.metrics.ranking import Counts, t2v_counts, v2t_counts

FIXTURES = Path(__file__).parent.parent / "fixtures" / "metrics"
BIG = {"square_1000": "metrics.npz", "multi_200x40": "metrics_multi200.npz"} | {
    "multi_200_ties_round1": "metrics_multi200.npz"
}
"""Cases too big to ship, and their files; the tests that use them need the golden folder itself."""


@dataclass(frozen=True)
class Golden:
    similarity: np.ndarray
    caption_to_video: np.ndarray
    several: bool
    """Whether the published code ran its path for several captions per video."""
    published: Mapping[str, Any]
    t2v: Counts
    v2t: Counts

    def official_order(self) -> np.ndarray:
        """Captions as the published t2v lists them: the first of every video, then the second, ..."""
        within = np.concatenate([np.arange(n) for n in np.bincount(self.caption_to_video)])
        return np.lexsort([self.caption_to_video, within])


def _golden(name: str, cases: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Golden:
    several = cases[name]["kind"] == "multi_sentence"
    similarity = arrays[name]
    captions = arrays[f"{name}__caps"] if several else np.ones(len(similarity), dtype=np.int64)
    owner = np.repeat(np.arange(len(captions)), captions)
    counts = t2v_counts(similarity, owner), v2t_counts(similarity, owner)
    return Golden(similarity, owner, several, cases[name], *counts)


CASES: dict[str, Any] = json.loads((FIXTURES / "golden.json").read_text())
SHIPPED = {name: _golden(name, CASES, np.load(FIXTURES / "golden.npz")) for name in CASES}

ONE_TO_ONE = [name for name in [*CASES, *BIG] if not name.startswith("multi")]
MULTI = [name for name in [*CASES, *BIG] if name.startswith("multi")]
UNSTABLE = [name for name in MULTI if "ties" in name or "all_equal" in name]
"""Several captions and ties: the published text-to-video depends on an unstable sort."""
STABLE = [name for name in MULTI if name not in UNSTABLE]
SPECIAL = ("ties", "equal", "nan", "inf", "zero")
PLAIN = [name for name in [*CASES, *BIG] if not any(word in name for word in SPECIAL)]
"""Nothing ties and all is finite."""


def big_case(name: str, folder: Path) -> Golden:
    cases = json.loads((folder / "metrics.json").read_text())["cases"]
    return _golden(name, cases, np.load(folder / BIG[name]))
