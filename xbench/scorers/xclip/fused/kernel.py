"""The kernels, in Triton: importing this file imports triton, so only a CUDA device (or a test) does.

A program takes a few items of either side, I and J of them. Their similarities are one matrix product, which
never leaves the chip: they are pooled where they stand, and one number a pair is written. `reshape` and
`trans` only regroup the tile: its rows are ordered (entry, item), its columns (item, entry), so that the
entries of a pair are a view of it.

Lengths are padded to powers of two, L to A and R to B. Padded features are zero, padded rows and columns of
the matrices are zero, and the softmax gives padded entries no weight: nothing of them reaches a sum. (The
model's own padding, which its softmaxes do see, is an entry like any other.)

SPLIT: float32 numbers are multiplied as pairs of float16, their leading 11 bits and the 11 that follow, in
three products on tensor cores that leave out 2^-22 of the result; the second numbers of an array lie behind
all of the first. Otherwise factors are bfloat16, or float32 of which tensor cores take the leading 11 bits
(TF32). Sums and softmaxes are float32 in all modes. WIDEN: for Triton's interpreter, which cannot multiply
bfloat16.
"""

import triton
import triton.language as tl

_SHARPNESS = tl.constexpr(144.26950408889634)
"""log2(e) / temperature: 2 ** (x * _SHARPNESS) is exp(x / 0.01)."""


@triton.jit
def _product(a, a_rest, b, b_rest, total, SPLIT: tl.constexpr, WIDEN: tl.constexpr):
    """Return total + a b. The rests are looked at when SPLIT."""
    if SPLIT:
        total = tl.dot(a_rest, b, total)
        total = tl.dot(a, b_rest, total)
    if WIDEN:
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    return tl.dot(a, b, total, input_precision="tf32")


@triton.jit
def _similarities(
    left, right, lefts, rights, row, column, L: tl.constexpr, R: tl.constexpr, WIDTH: tl.constexpr,
    A: tl.constexpr, B: tl.constexpr, I: tl.constexpr, J: tl.constexpr, DEPTH: tl.constexpr,
    SPLIT: tl.constexpr, WIDEN: tl.constexpr,
):  # fmt: skip
    """Multiply I items of left [lefts, L, WIDTH] with J of right [rights, R, WIDTH]: float32 [A I, J B]."""
    rows, columns = tl.arange(0, A * I), tl.arange(0, J * B)
    item, entry = row * I + rows % I, rows // I
    from_left = left + ((item.to(tl.int64) * L + entry) * WIDTH)[:, None]
    is_left = ((item < lefts) & (entry < L))[:, None]
    item, entry = column * J + columns // B, columns % B
    from_right = right + ((item.to(tl.int64) * R + entry) * WIDTH)[None, :]
    is_right = ((item < rights) & (entry < R))[None, :]
    rest_left, rest_right = lefts.to(tl.int64) * (L * WIDTH), rights.to(tl.int64) * (R * WIDTH)
    total = tl.zeros((A * I, J * B), tl.float32)
    for start in range(0, WIDTH, DEPTH):
        depth = start + tl.arange(0, DEPTH)
        a = tl.load(from_left + depth[None, :], mask=is_left, other=0.0)
        b = tl.load(from_right + depth[:, None], mask=is_right, other=0.0)
        a_rest, b_rest = a, b
        if SPLIT:
            a_rest = tl.load(from_left + rest_left + depth[None, :], mask=is_left, other=0.0)
            b_rest = tl.load(from_right + rest_right + depth[:, None], mask=is_right, other=0.0)
        total = _product(a, a_rest, b, b_rest, total, SPLIT, WIDEN)
    return total


@triton.jit
def _pooled(
    values, length, last, matrix, M: tl.constexpr, N: tl.constexpr, SPLIT: tl.constexpr, WIDEN: tl.constexpr
):
    """Pool values float32 [M, N] to [M]: each row weighted by its own softmax times a matrix [N, N].

    The first `length` entries are there; the last of them stands for `last` in the softmax.
    """
    entry = tl.arange(0, N)
    there = tl.where((entry < length)[None, :], values, float("-inf"))
    powers = tl.exp2((there - tl.max(there, axis=1)[:, None]) * _SHARPNESS)
    total = tl.sum(tl.where((entry == length - 1)[None, :], powers * last, powers), axis=1)
    at = entry[:, None] * N + entry[None, :]
    factor = tl.load(matrix + at)
    weights = powers.to(factor.dtype)
    factor_rest, weights_rest = factor, weights
    if SPLIT:
        factor_rest = tl.load(matrix + N * N + at)
        weights_rest = (powers - weights.to(tl.float32)).to(factor.dtype)
    none = tl.zeros((M, N), tl.float32)
    mixed = _product(weights, weights_rest, factor, factor_rest, none, SPLIT, WIDEN)
    return tl.sum(mixed * values, axis=1) / total


@triton.jit
def _pooled_few(
    values, length, last, matrix, M: tl.constexpr, N: tl.constexpr, SPLIT: tl.constexpr, WIDEN: tl.constexpr
):
    """`_pooled` for any power of two M: a product wants 16 rows, so fewer are taken several times."""
    if M >= 16:
        pooled = _pooled(values, length, last, matrix, M, N, SPLIT, WIDEN)
    else:
        often = tl.reshape(tl.broadcast_to(values[None, :, :], (16 // M, M, N)), (16, N))
        often = _pooled(often, length, last, matrix, 16, N, SPLIT, WIDEN)
        pooled = tl.sum(tl.reshape(often, (16 // M, M)), axis=0) * (M / 16)
    return pooled


@triton.jit
def _place(height, width, BAND: tl.constexpr):
    """Return (row, column) of this program in a grid, band by band, so that neighbours read the same."""
    program = tl.program_id(0)
    first = program // (BAND * width) * BAND
    rows = tl.minimum(height - first, BAND)
    within = program % (BAND * width)
    return first + within % rows, within // rows


@triton.jit(do_not_specialize=["lefts", "rights", "left_stride", "right_stride"])
def grain_kernel(
    left, right, matrix, out, lefts, rights, last, unit, left_stride, right_stride, L: tl.constexpr,
    WIDTH: tl.constexpr, A: tl.constexpr, I: tl.constexpr, J: tl.constexpr, DEPTH: tl.constexpr,
    SPLIT: tl.constexpr, WIDEN: tl.constexpr,
):  # fmt: skip
    """out += the similarities of left [lefts, L, WIDTH] and right [rights, WIDTH], pooled over L entries."""
    row, column = _place(tl.cdiv(lefts, I), tl.cdiv(rights, J), 8)
    values = unit * _similarities(
        left, right, lefts, rights, row, column, L, 1, WIDTH, A, 1, I, J, DEPTH, SPLIT, WIDEN
    )
    pooled = _pooled(tl.trans(tl.reshape(values, (A, I * J))), L, last, matrix, I * J, A, SPLIT, WIDEN)
    pair = tl.arange(0, I * J)
    item, other = row * I + pair // J, column * J + pair % J
    at = item.to(tl.int64) * left_stride + other.to(tl.int64) * right_stride
    inside = (item < lefts) & (other < rights)
    tl.store(out + at, tl.load(out + at, mask=inside, other=0.0) + pooled, mask=inside)


@triton.jit(do_not_specialize=["lefts", "rights"])
def fine_kernel(
    words, local, word_mats, frame_mats, before, out, lefts, rights, last, unit, scale, L: tl.constexpr,
    R: tl.constexpr, WIDTH: tl.constexpr, A: tl.constexpr, B: tl.constexpr, I: tl.constexpr, J: tl.constexpr,
    DEPTH: tl.constexpr, SPLIT: tl.constexpr, WIDEN: tl.constexpr,
):  # fmt: skip
    """out = scale (before + (to frames + to words) / 2), [lefts, rights].

    words [lefts, L, WIDTH], local [rights, R, WIDTH]: M f. word_mats, frame_mats: the two [A, A], [B, B].
    """
    row, column = _place(tl.cdiv(lefts, I), tl.cdiv(rights, J), 8)
    values = unit * _similarities(
        words, local, lefts, rights, row, column, L, R, WIDTH, A, B, I, J, DEPTH, SPLIT, WIDEN
    )
    second = 2 if SPLIT else 1
    by_word = tl.reshape(values, (A * I * J, B))
    by_word = _pooled(by_word, R, last, frame_mats, A * I * J, B, SPLIT, WIDEN)
    by_word = tl.trans(tl.reshape(by_word, (A, I * J)))
    to_words = _pooled_few(by_word, L, 1.0, word_mats + second * A * A, I * J, A, SPLIT, WIDEN)
    by_frame = tl.trans(tl.reshape(values, (A, I * J * B)))
    by_frame = _pooled(by_frame, L, 1.0, word_mats, I * J * B, A, SPLIT, WIDEN)
    by_frame = tl.reshape(by_frame, (I * J, B))
    to_frames = _pooled_few(by_frame, R, last, frame_mats + second * B * B, I * J, B, SPLIT, WIDEN)
    pair = tl.arange(0, I * J)
    text, video = row * I + pair // J, column * J + pair % J
    at = text.to(tl.int64) * rights + video
    inside = (text < lefts) & (video < rights)
    total = tl.load(before + at, mask=inside, other=0.0) + (to_frames + to_words) * 0.5
    tl.store(out + at, total * scale, mask=inside)
