"""Scoring and encoding on a GPU, beside the ways it was done before and the rate of its matrix products.

    python -m benchmarks.gpu [--json FILE] [--docs FILE]

`make bench-gpu` writes benchmarks/gpu.json, after each part so that nothing is lost, and the table in
docs/performance.md. Needs a CUDA device, and a few minutes; exit code 1 when the fused kernels were not used.
Features and weights are random, videos without padding, which costs the most. Seconds of scoring are those of
all pairs, block by block as the engine asks for them, scores copied to the host: `cold` with features that
lie in host memory, `warm` with those that are on the GPU already.
"""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, get_args

import torch

from benchmarks.gpu_encoding import BACKBONES, encoding
from benchmarks.gpu_scoring import SIZES, beside_published, rivals, scoring
from benchmarks.gpu_table import render, write_docs
from benchmarks.gpu_timing import product_rates
from xbench.pipeline.record import git_revision
from xbench.terms import Precision

PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32", "bf16")
"""Those in which scoring differs: fp16 scores as fp32 does."""

Record = dict[str, Any]


def main() -> None:
    """Measure, print tables, write the JSON and the documentation's table."""
    options = _options()
    if not torch.cuda.is_available():
        sys.exit(f"Not measured: torch {torch.__version__} sees no CUDA device here.")

    def save(record: Record) -> None:
        if options.json:
            options.json.write_text(json.dumps(record, indent=1) + "\n")

    record = measure(torch.device("cuda", torch.cuda.current_device()), save)
    print(render(record))
    if not record["fused kernels"]:
        sys.exit("The fused kernels were not used, see above why: these figures are torch's.")
    if options.docs:
        write_docs(options.docs, record)


def measure(device: torch.device, save: Callable[[Record], None] = lambda record: None) -> Record:
    """Return everything that there is to measure, saying on stderr what is being measured.

    save: gets the record after each part.
    """
    _say("matrix products")
    rates = product_rates(device)
    record: Record = _machine(device) | {"products_tflops": rates, "scoring": [], "encoding": []}
    for size in SIZES:
        _say(f"scoring {size.name}")
        ours = [scoring(size, precision, device, rates) for precision in PRECISIONS]
        record["scoring"] += beside_published([*ours, *rivals(size, device)])
        record["fused kernels"] = record.get("fused kernels", True) and all(
            row["way"].startswith("fused") for row in ours
        )
        save(record)
    for name, backbone in BACKBONES.items():
        _say(f"encoding with {name}")
        for precision in get_args(Precision):
            record["encoding"] += encoding(name, backbone, precision, device, rates)
        save(record)
    return record


def _machine(device: torch.device) -> Record:
    return {
        "measured": True,
        "date": datetime.now(UTC).date().isoformat(),
        "revision": git_revision(),
        "gpu": torch.cuda.get_device_name(device),
        "memory_gb": round(torch.cuda.get_device_properties(device).total_memory / 1e9, 1),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "versions": {name: _version(name) for name in ("xbench", "torch", "triton", "transformers")},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _say(what: str) -> None:
    print(f"measuring {what} ...", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured there")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="write its tables there, between markers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
