"""Scoring and encoding on a GPU, beside the ways it was done before and the rate of its matrix products.

    python -m benchmarks.gpu [--json FILE]        (make bench-gpu writes benchmarks/gpu.json)

Needs a CUDA device, and a few minutes. Features and weights are random, videos without padding, which costs
the most. Seconds of scoring are those of all pairs, block by block as the engine asks for them, scores copied
to the host: `cold` with features that lie in host memory, `warm` with those that are on the GPU already.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, get_args

import torch
from tabulate import tabulate

from benchmarks.gpu_encoding import BACKBONES, encoding
from benchmarks.gpu_scoring import SIZES, rivals, scoring
from benchmarks.gpu_timing import product_rates
from xbench.scorers.precision import Precision

PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32", "bf16")
"""Those in which scoring differs: fp16 scores as fp32 does."""


def main() -> None:
    """Measure, print tables, and write the JSON."""
    options = _options()
    if not torch.cuda.is_available():
        sys.exit(f"Not measured: torch {torch.__version__} sees no CUDA device here.")
    record = measure(torch.device("cuda"))
    print(render(record))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def measure(device: torch.device) -> dict[str, Any]:
    """Return everything that there is to measure, saying on stderr what is being measured."""
    _say("matrix products")
    rates = product_rates(device)
    record: dict[str, Any] = _machine(device) | {"products_tflops": rates, "scoring": [], "encoding": []}
    for size in SIZES:
        _say(f"scoring {size.name}")
        record["scoring"] += [scoring(size, precision, device, rates) for precision in PRECISIONS]
        record["scoring"] += rivals(size, device)
    for name, backbone in BACKBONES.items():
        _say(f"encoding with {name}")
        record["encoding"] += [
            encoding(name, backbone, precision, device, rates) for precision in get_args(Precision)
        ]
    return record


def render(record: dict[str, Any]) -> str:
    """Return the record as tables."""
    machine = "\n".join(f"{key}: {value}" for key, value in record.items() if not isinstance(value, list))
    tables = [
        tabulate(record[part], headers="keys", floatfmt=".4g", missingval="")
        for part in ("scoring", "encoding")
    ]
    return "\n\n".join([machine, *tables])


def _machine(device: torch.device) -> dict[str, Any]:
    return {
        "measured": True,
        "date": datetime.now(UTC).date().isoformat(),
        "gpu": torch.cuda.get_device_name(device),
        "memory_gb": round(torch.cuda.get_device_properties(device).total_memory / 1e9, 1),
        "cuda": torch.version.cuda,
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
    return parser.parse_args()


if __name__ == "__main__":
    main()
