"""Make xbench/data/members.npz from the annotation files of the benchmarks: ids and digests, no captions.

Usage: python tools/make_members.py FOLDER    (with MSRVTT/, MSVD/, DiDeMo/, ActivityNet/ below it)
"""

import sys
from pathlib import Path

import numpy as np

from xbench.data.loading import load_split
from xbench.data.recognition import MEMBERS, pack
from xbench.registry.datasets import benchmark, protocols

root = Path(sys.argv[1])
known = [
    entry
    for entry in protocols().values()
    if entry.sha256 and entry.read is not None and (root / benchmark(entry.benchmark).annotations).is_dir()
]
splits = [
    load_split(entry.benchmark, root / benchmark(entry.benchmark).annotations, entry.id) for entry in known
]
np.savez_compressed(MEMBERS, **pack(zip(known, splits, strict=True)))
print(f"{MEMBERS}: {len(known)} protocols, {MEMBERS.stat().st_size} bytes")
