"""How large the page of a result over 27,763 captions of 670 videos is (as MSVD has), and how fast it opens.

    python -m benchmarks.result_page [--captions N] [--videos N]

Made-up scores, captions and pictures. Chromium reads the page from a file; the seconds are its own, from the
start of loading to the first rows of the list, then for one filter and one sort of all captions.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.chromium import opened
from xbench.metrics.ranking import t2v_counts, v2t_counts
from xbench.reports.page.findings import Material, Strip
from xbench.reports.page.report import render_report
from xbench.reports.record.files import Measurement
from xbench.reports.record.per_query import PerQuery, scored
from xbench.reports.record.schema import Fingerprint, ProtocolRecord, Record, ScorerRecord, Videos

_PICTURE = 9_000
"""Bytes of a strip of four frames."""
PROBE = """<script>
addEventListener("load", () => {
  const opened = performance.now();
  const timed = (act) => { const start = performance.now(); act(); return performance.now() - start; };
  const part = (name) => document.querySelector(`[data-part="${name}"]`);
  const filter = timed(() => {
    part("filter").value = "wrong";
    part("filter").dispatchEvent(new Event("input"));
  });
  const sort = timed(() => document.querySelectorAll(".listing th button")[1].click());
  const said = document.createElement("pre");
  said.id = "measured";
  const rows = document.querySelectorAll(".listing .open").length;
  said.textContent = JSON.stringify({ opened, filter, sort, rows });
  document.body.append(said);
});
</script>"""


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captions", type=int, default=27_763)
    parser.add_argument("--videos", type=int, default=670)
    options = parser.parse_args()
    measured, material = made_up(options.captions, options.videos)
    start = time.perf_counter()
    page = render_report(measured, material)
    print(f"made in {time.perf_counter() - start:.1f} s, {len(page.encode()) / 1e6:.1f} MB")
    found = opened(page, PROBE)
    print(f"opened in {found['opened'] / 1000:.2f} s with {found['rows']} rows of the list")
    print(f"filtered in {found['filter']:.0f} ms, sorted by caption in {found['sort']:.0f} ms")


def made_up(captions: int, videos: int) -> tuple[Measurement, Material]:
    """Return a result and all that its page can show."""
    random = np.random.default_rng(0)
    owner = np.sort(np.concatenate([np.arange(videos), random.integers(0, videos, captions - videos)]))
    scores = random.standard_normal((captions, videos)).astype(np.float32)
    scores[np.arange(captions), owner] += 2.5
    words = [
        "a",
        "the",
        "man",
        "dog",
        "is",
        "playing",
        "guitar",
        "kitchen",
        "slicing",
        "onion",
        "with",
        "two",
    ]
    texts = [" ".join(random.choice(words, random.integers(4, 14))) for _ in range(captions)]
    ids = [f"video{index:06d}_{index * 37}" for index in range(videos)]
    counts = PerQuery.of(t2v_counts(scores, owner), v2t_counts(scores, owner), owner, texts, ids)
    hashes = dict.fromkeys(("ids", "pairs", "pairs_sorted", "pairs_ws_normalised_sorted"), "0" * 64)
    record = Record(
        created="2026-01-02T03:04:05Z",
        benchmark="msvd",
        protocol=ProtocolRecord(
            requested="msvd/made-up", fingerprint=Fingerprint(videos=videos, captions=captions, **hashes)
        ),
        videos=Videos(wanted=videos, scored=videos),
        comparable=False,
        not_comparable_because=["made up"],
        scorer=ScorerRecord(name="made-up"),
        **scored(counts.t2v, counts.v2t, owner, resamples=100),
    )
    strip = Strip(random.bytes(_PICTURE), (0.0, 2.0, 4.0, 6.0), 12)
    material = Material(scores, texts, ids, strips=dict.fromkeys(range(videos), strip))
    return Measurement(record, counts, Path("made-up.json")), material


if __name__ == "__main__":
    main()
