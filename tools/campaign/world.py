"""What faults are made from: small benchmarks and a good file of every kind, below one temporary folder."""

import gzip
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.campaign.children import Ended, Fault, tried, xbench

CLIPS = 24
_OWN = """\
benchmarks:
  campaign:
    name: Campaign
    words: 20
    frames: 8
    protocols:
      test:
        title: Made up for the campaign
        v2t: any-caption
        read: {file: captions.tsv, id: clip, caption: said}
"""
_NAMED = """\
checkpoints:
  small:
    scorer: xclip
    file: weights.safetensors
"""


@dataclass(frozen=True)
class World:
    """Good files. No fault writes to them: what it damages is a copy in its own folder."""

    root: Path

    @property
    def data(self) -> Path:
        """Miniatures, as $XBENCH_DATA has them."""
        return self.root / "data"

    @property
    def own(self) -> Path:
        """A benchmark of one's own: own.yaml, captions.tsv, texts.npz, videos.npy, scores.npy."""
        return self.root / "own"

    @property
    def weights(self) -> Path:
        """checkpoints.yaml, weights.safetensors and bpe.txt.gz."""
        return self.root / "weights"

    @property
    def records(self) -> list[Path]:
        """Of the own benchmark, two."""
        return sorted((self.root / "results").glob("*.json"))

    def small_run(self, folder: Path, *more: object) -> list[object]:
        """Return the arguments of a run of the miniature that reads and encodes videos."""
        return ["run", "--miniature", "--dataset", "lsmdc", "--output", folder / "out", *more]

    def own_run(self, own: Path, *more: object) -> list[object]:
        """Return the arguments of a run on precomputed features, the fastest there is."""
        return [
            "run",
            "--model",
            "features",
            "--dataset",
            own / "own.yaml",
            "--annotations",
            own,
            "--text-features",
            own / "texts.npz",
            "--video-features",
            own / "videos.npy",
            *more,
        ]


def make(root: Path) -> World:
    """Render the miniatures, write the own benchmark, run what makes the other good files."""
    os.environ |= _environment(root)
    for name in ("cache", "temp", "children", "own", "weights"):
        (root / name).mkdir(parents=True, exist_ok=True)
    world = World(root)
    _write_own(world.own)
    package = Path(__file__).resolve().parents[2] / "xbench" / "miniature"
    shutil.copy(package / "xclip_miniature.safetensors", world.weights / "weights.safetensors")
    shutil.copy(package / "bpe_miniature.txt.gz", world.weights / "bpe.txt.gz")
    (world.weights / "checkpoints.yaml").write_text(_NAMED)

    def runs(folder: Path) -> int:
        results = ["--output", root / "results"]
        return (
            xbench("miniature", world.data)
            or xbench(*world.small_run(root, "--save-similarity", root / "matrix.npy"))
            or xbench(*world.own_run(world.own, *results))
            or xbench(*world.own_run(world.own, *results, "--ties", "optimistic"))
            or xbench("datasets", "fingerprint", world.own / "own.yaml", "--annotations", world.own)
        )

    ended = alone(Fault("set-up", "good runs", runs, seconds=600), root / "children")
    if ended.code != 0:
        raise SystemExit(f"The campaign's own good runs failed ({ended.code}): {ended.err[-2000:]}")
    return world


def alone(fault: Fault, parent: Path) -> Ended:
    """Try one fault and return how it ended."""
    return next(ended for _, ended, _ in tried([fault], parent))


def _environment(root: Path) -> dict[str, str]:
    """Nothing of the user's is read, and nothing beyond this machine is asked."""
    return {
        "XBENCH_CACHE": str(root / "cache"),
        "XBENCH_CHECKPOINTS": "",
        "XBENCH_DATASETS": "",
        "XBENCH_DATA": "",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(root / "hub"),
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "no_proxy": "127.0.0.1",
        "TMPDIR": str(root / "temp"),
    }


def _write_own(folder: Path) -> None:
    rows = [f"c{n}\t{verb} dish {n}" for n in range(CLIPS) for verb in ("stir", "taste")]
    (folder / "captions.tsv").write_text("\n".join(["clip\tsaid", *rows, ""]), "utf-8")
    (folder / "own.yaml").write_text(_OWN)
    rng = np.random.default_rng(3)
    videos = rng.normal(size=(CLIPS, 8)).astype(np.float32)
    texts = np.repeat(videos, 2, axis=0) + rng.normal(size=(2 * CLIPS, 8)).astype(np.float32) / 2
    np.save(folder / "videos.npy", videos)
    np.savez(folder / "texts.npz", features=texts)
    np.save(folder / "scores.npy", texts @ videos.T)


def numbers(text: str) -> list[float]:
    """Return the values of all metrics in the JSON that a command printed; empty for what is no JSON."""
    try:
        loaded = json.loads(text)
    except ValueError:
        return []
    found: list[float] = []
    level = [loaded]
    while level:
        each = level.pop()
        if isinstance(each, dict):
            if isinstance(each.get("value"), int | float):
                found.append(float(each["value"]))
            level += each.values()
        elif isinstance(each, list):
            level += each
    return sorted(found)


def copied(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Copy files and folders; return where they are now."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for path in paths:
        copy = shutil.copytree if path.is_dir() else shutil.copy2
        made.append(Path(copy(path, folder / path.name)))
    return made


def unpacked(path: Path) -> bytes:
    """Return the text of a gzip file."""
    return gzip.decompress(path.read_bytes())
