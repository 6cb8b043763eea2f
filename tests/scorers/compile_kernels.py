"""A script: compile the kernels for GPUs that need not be there, and print what each one needs as JSON.

With --all every tile in every mode, which takes minutes.
"""

import itertools
import json
import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from xbench.scorers.xclip.fused.kernel import fine_kernel, grain_kernel
from xbench.scorers.xclip.fused.tuning import FINE, GRAIN, Tile

FACTORS = {"fp16x3": "*fp16", "bf16": "*bf16", "tf32": "*fp32"}
COUNTS = ("lefts", "rights", "left_stride", "right_stride")
NUMBERS = ("last", "unit", "scale")
FLOATS = ("out", "before")


def compiled(kernel, shape: dict[str, int], tile: Tile, products: str, capability: int) -> dict:
    """Compile one kernel; return its shared memory in bytes and whether it multiplies on tensor cores."""
    constants = shape | {"DEPTH": tile.depth, "SPLIT": products == "fp16x3", "WIDEN": False}
    signature = dict.fromkeys(kernel.arg_names, FACTORS[products])
    signature |= {name: "*fp32" for name in FLOATS if name in signature}
    aligned = {(at,): [["tt.divisibility", 16]] for at, name in enumerate(signature) if name not in constants}
    signature |= {name: "i32" for name in COUNTS if name in signature}
    signature |= {name: "fp32" for name in NUMBERS if name in signature}
    signature |= dict.fromkeys(constants, "constexpr")
    pointers = {at: what for at, what in aligned.items() if list(signature.values())[at[0]].startswith("*")}
    source = ASTSource(kernel, signature, constexprs=constants, attrs=pointers)
    options = {"num_warps": tile.warps, "num_stages": tile.stages}
    binary = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    return {
        "kernel": f"{kernel.__name__}, {products}, {tile}, sm_{capability}",
        "capability": capability,
        "shared": binary.metadata.shared,
        "tensor cores": any(name in binary.asm["ptx"] for name in ("wgmma.mma_async", "mma.sync")),
    }


def fine_shape(tile: Tile, words: int = 64, frames: int = 64) -> dict[str, int]:
    items, others = max(1, tile.rows // words), max(1, tile.columns // frames)
    return {"L": words, "R": frames, "WIDTH": 512, "A": words, "B": frames, "I": items, "J": others}


def main(every: bool) -> None:
    """Compile one kernel of each kind, or every tile in every mode."""
    grain = {"L": 64, "WIDTH": 512, "A": 64, "I": max(1, GRAIN.rows // 64), "J": GRAIN.columns}
    done = [compiled(grain_kernel, grain, GRAIN, "fp16x3", 90)]
    done += [compiled(fine_kernel, fine_shape(FINE[0]), FINE[0], "fp16x3", 90)]
    done += [compiled(fine_kernel, fine_shape(FINE[0], 32, 16), FINE[0], "tf32", 80)]
    if every:
        cases = itertools.product(FINE, FACTORS, (80, 90))
        done += [compiled(fine_kernel, fine_shape(tile), tile, *others) for tile, *others in cases]
    print(json.dumps(done, indent=1))


if __name__ == "__main__":
    main(every="--all" in sys.argv)
