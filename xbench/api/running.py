"""`run`: a model on a benchmark."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xbench.api.result import Result
from xbench.metrics.measures import Measure
from xbench.pipeline.plan import plan_runs
from xbench.pipeline.run import run_all
from xbench.sampling import FrameRule
from xbench.scorers.base import Reranker, Scorer
from xbench.terms import DEFAULT_METRICS, MatrixRows, PixelRule, Post, Precision, Ties, V2TRule


def run(
    model: str | Scorer | None,
    dataset: str,
    *,
    annotations: str | Path | None = None,
    videos: str | Path | None = None,
    protocol: str | None = None,
    miniature: bool = False,
    checkpoint: str | Path | None = None,
    clip: str | None = None,
    text_features: str | Path | None = None,
    video_features: str | Path | None = None,
    model_args: Mapping[str, Any] | None = None,
    bpe: str | Path | None = None,
    device: str = "auto",
    precision: Precision | None = None,
    threads: int = 1,
    ray: str | None = None,
    devices: str | Sequence[str] | None = None,
    mixed_devices: bool = False,
    workers: int = 2,
    memory: int | None = None,
    limit: int | None = None,
    allow_missing: bool = False,
    allow_damaged: bool = False,
    ties: Ties | str = Ties.AVERAGE,
    metrics: str | Sequence[str | Measure] = DEFAULT_METRICS,
    post: Post = "none",
    bank: str | Path | None = None,
    force: bool = False,
    v2t: V2TRule | None = None,
    label: str | None = None,
    sampling: FrameRule | str | None = None,
    pixels: PixelRule = "published",
    cache: bool = True,
    cache_dir: str | Path | None = None,
    save_similarity: str | Path | None = None,
    rerank: str | Reranker | None = None,
    first: str | Path | Scorer | None = None,
    first_args: Mapping[str, Any] | None = None,
    rows: MatrixRows | None = None,
    k: int | None = None,
) -> Result:
    """Evaluate a model on one benchmark, as `xbench run` does; the options are those of the command.

    model: a name (`xclip`), or any object with the members of `xbench.scorers.base.Scorer`. For an object,
    checkpoint, clip, bpe, device and precision are its own business and must be left out; one whose
    `identity` is None is encoded afresh every time.

    The result is not saved: `result.save(folder)` does it.

    label: what to call the result; default: folder and number of the checkpoint.

    metrics: `R@1,MdR`, or a list of names or measures.

    precision: None for fp32, or what checkpoints.yaml says of the model.

    sampling: which frames are taken; None: as the model asks. `published`, `uniform`, `fps=2`, `every=1`,
    `segments=8x4`, with `+repeat-last` and the like or without, or a `xbench.sampling.FrameRule`.

    pixels: `published` gives colours as OpenCV 4 does, whatever a file's tags say; `tagged` as OpenCV 5.

    threads: in which a CPU computes, whatever torch was set to; they change last bits, so one everywhere.

    ray: "local" for workers on the GPUs (else the CPU cores) of this machine, or the HOST:PORT of a cluster;
    devices: those of this machine to use, `cpu` once for each worker. The bits are those of a run without.

    post: `dsl` or `qbnorm` gives the post-processed result, marked as such and not comparable with raw ones.
    bank: the training captions of `qbnorm`, a text file with one on each line or a JSON list. force: `dsl`
    even where videos have several captions and its prior is false.

    v2t: how video-to-text counts several captions of a video; None for the protocol's rule.

    rerank: the second of two stages, a name or any object that is a `Reranker` or a `Scorer`, in place of
    `model`, which is None then. It scores again the first `k` (128) candidates of each query that `first`
    finds: a file with a similarity matrix, a model's name with its `first_args` (checkpoint, clip, bpe,
    precision, and its own), or a model object. rows: what the rows of that file are, where nothing tells.

    Raises UsageError, DataError or ModelError (all XbenchError), with the messages of the command line.
    """
    given = dict(locals())  # every keyword, and nothing else yet
    return Result.of(list(run_all(plan_runs([given])))[-1])
