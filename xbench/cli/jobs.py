"""The options of `xbench run` as jobs: one benchmark each, with the model that is to score it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xbench.cli.options import key_values, per_benchmark
from xbench.data.loading import choose_protocol
from xbench.errors import UsageError
from xbench.metrics.measures import parse_measures
from xbench.pipeline.request import Request
from xbench.pipeline.sources import find_sources, miniature_sources, miniature_weights
from xbench.registry.datasets import Protocol, benchmark, benchmarks
from xbench.scorers.catalog import ModelRequest, ResolvedModel, resolve
from xbench.storage import cache_dir
from xbench.terms import Ties

_FILES = {
    "checkpoint": "checkpoints",
    "text_features": "text_features",
    "video_features": "video_features",
}
"""Options that may differ from benchmark to benchmark, by the names under which click keeps them."""


_OF_VIDEOS = {"videos", "sampling", "allow_damaged", "workers", "batch_size"}
"""Options that mean nothing where no video is decoded."""


@dataclass(frozen=True)
class Job:
    """One benchmark and the model that is to score it."""

    request: Request
    model: ResolvedModel


def make_jobs(options: Mapping[str, Any], given: dict[str, Any], default: dict[str, Any]) -> list[Job]:
    """Turn the options of the command into one job per benchmark.

    Renders the miniatures that are asked for. Raises UsageError for options that do not go together.
    """
    names = chosen_benchmarks(options["datasets"])
    _check(options, names, given)
    protocols = {name: choose_protocol(name, options["protocol"]) for name in names}
    files = {
        option: per_benchmark(f"--{option.replace('_', '-')}", options[given_as], names)
        for option, given_as in _FILES.items()
    }
    models = {
        name: _model(options, protocols[name], {option: paths.get(name) for option, paths in files.items()})
        for name in names
    }
    annotations = per_benchmark("--annotations", options["annotations"], names)
    videos = per_benchmark("--videos", options["videos"], names)
    if options["miniature"]:
        cache = options["cache_dir"] or cache_dir()
        sources = {name: miniature_sources(name, cache) for name in names}
    else:
        sources = {
            name: find_sources(
                name, annotations.get(name), videos.get(name), needs_videos=models[name].info.needs_videos
            )
            for name in names
        }
    return [
        Job(
            _request(options, protocols[name], *sources[name], given=given, default=default),
            models[name],
        )
        for name in names
    ]


def matrix_request(options: Mapping[str, Any], given: dict[str, Any], default: dict[str, Any]) -> Request:
    """Turn the options of `xbench score` into a request, which has no videos."""
    protocol = choose_protocol(benchmark(options["dataset"]).id, options["protocol"])
    annotations, _ = find_sources(protocol.benchmark, options["annotations"], None, needs_videos=False)
    return Request(
        benchmark=protocol.benchmark,
        annotations=annotations,
        videos=Path(),
        protocol=options["protocol"],
        ties=Ties[options["ties"].upper()],
        measures=parse_measures(options["metrics"]),
        post=options["post"],
        passed=given,
        defaulted=default,
    )


def chosen_benchmarks(names: Sequence[str]) -> list[str]:
    """Return the benchmarks named, `all` as the five, each once. Raises UsageError for an unknown name."""
    chosen = [every for name in names for every in (benchmarks() if name == "all" else [benchmark(name).id])]
    return list(dict.fromkeys(chosen))


def _check(options: Mapping[str, Any], names: Sequence[str], given: Mapping[str, Any]) -> None:
    if len(names) > 1:
        for option in ("protocol", "save_similarity"):
            if options[option] is not None:
                flag = f"--{option.replace('_', '-')}"
                raise UsageError(f"{flag} is for one benchmark, but {len(names)} run: {', '.join(names)}.")
    if options["no_cache"] and options["cache_dir"] is not None:
        raise UsageError("--no-cache and --cache-dir contradict each other: give one of them.")
    if options["model"] == "features":
        for name in sorted(_OF_VIDEOS & given.keys()):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"--model features reads no video files: leave {flag} out.")
    if options["miniature"] and (options["annotations"] or options["videos"]):
        raise UsageError("--miniature brings its own annotations and videos: leave the options for them out.")


def _request(
    options: Mapping[str, Any], protocol: Protocol, annotations: Path, videos: Path, **recorded: Any
) -> Request:
    return Request(
        benchmark=protocol.benchmark,
        annotations=annotations,
        videos=videos,
        protocol=options["protocol"],
        limit=options["limit"],
        allow_missing=options["allow_missing"],
        allow_damaged=options["allow_damaged"],
        ties=Ties[options["ties"].upper()],
        measures=parse_measures(options["metrics"]),
        post=options["post"],
        sampling=options["sampling"],
        batch_size=options["batch_size"],
        workers=options["workers"],
        memory=int(options["memory"] * 2**30) if options["memory"] else None,
        cache=None if options["no_cache"] else options["cache_dir"] or cache_dir(),
        save_similarity=options["save_similarity"],
        miniature=options["miniature"],
        passed=recorded["given"],
        defaulted=recorded["default"],
    )


def _model(options: Mapping[str, Any], protocol: Protocol, files: Mapping[str, Path | None]) -> ResolvedModel:
    request = ModelRequest(
        name=options["model"],
        checkpoint=files["checkpoint"],
        text_features=files["text_features"],
        video_features=files["video_features"],
        clip=options["clip"],
        bpe=options["bpe"],
        precision=options["precision"],
        device=options["device"],
        words=protocol.words,
        frames=protocol.frames,
        args=key_values("--model-args", options["model_args"]),
        miniature=miniature_weights() if options["miniature"] else None,
    )
    return resolve(request)
