"""Options, from the command line or from keywords, to checked plans that can be carried out.

Whatever is loaded to check is part of the plan, so that carrying it out loads nothing again.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xbench.data.loading import choose_protocol, load_split
from xbench.data.recognition import Recognition, recognise
from xbench.data.split import Split
from xbench.data.video_files import Resolved, VideoFolder, resolve
from xbench.errors import DataError, UsageError, explain
from xbench.metrics.dsl import require_one_to_one
from xbench.metrics.measures import Measure
from xbench.pipeline import first_stage, options
from xbench.pipeline.bank import Bank, read_captions
from xbench.pipeline.features import KeptFrames
from xbench.pipeline.first_stage import FirstScoresPlan, FirstStage
from xbench.pipeline.gallery import refuse_missing
from xbench.pipeline.matrix_file import MatrixFile
from xbench.progress import say
from xbench.registry.datasets import Protocol, benchmark, benchmarks
from xbench.registry.folders import default_folders
from xbench.sampling import FrameRule
from xbench.scorers import base, catalog
from xbench.scorers.base import Scorer, ScorerInfo
from xbench.scorers.catalog import ModelRequest, ResolvedModel, require_scorer
from xbench.storage import cache_dir, file_sha256
from xbench.terms import PixelRule, Post, Setting, Ties


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One benchmark to score: what of it, by what, how it is counted. Nothing in it need be checked again."""

    split: Split
    """As asked for, cut to its limit."""
    recognition: Recognition
    ties: Ties
    measures: tuple[Measure, ...]
    post: Post
    """Post-processing, as a second row beside the raw one."""
    passed: dict[str, Any]
    """The options that the user gave, for the record (JSON values)."""
    defaulted: dict[str, Any]
    """The options that were left at their defaults, for the record (JSON values)."""
    bank: Bank | None = None
    """What `qbnorm` normalises by."""
    force: bool = False
    """Dual softmax where a video has several captions, too."""
    label: str = ""
    """What the result is called."""
    miniature: bool = False
    """The data is the rendered miniature of the benchmark, not the benchmark."""


@dataclass(frozen=True, kw_only=True)
class RunPlan(Plan):
    """A plan with a model."""

    model: ResolvedModel | Scorer
    """By name, found but not built; or an object that is one."""
    found: Resolved | None
    """The file of every video; None where the model decodes none."""
    videos: Path
    allow_missing: bool
    allow_damaged: bool
    sampling: FrameRule | None
    """Which frames are taken; None: as the scorer asks."""
    pixels: PixelRule
    """Whose colours the frames have: OpenCV 4's or those that each file's tags say."""
    threads: int
    """Threads of a CPU in which the model computes: part of what a feature is, for they change last bits."""
    ray: str | None
    """Workers of this Ray cluster do the work; `local`: of one that is started here."""
    devices: tuple[str, ...]
    """Those of this machine that a local cluster uses; all where there are none."""
    mixed_devices: bool
    """Workers may compute other last bits than this process."""
    workers: int
    """Threads that decode ahead of the encoder."""
    memory: int | None
    """Bytes that scores and video features may take while scoring; None: a quarter of RAM."""
    cache: Path | None
    """The cache folder; None: features are kept for this run only."""
    save_similarity: Path | None
    first: FirstStage | None = None
    """What finds the candidates, where the model is the second of two stages."""
    frames: KeptFrames | None = None
    """Where decoded frames are kept for other candidates; None: they are not."""


@dataclass(frozen=True, kw_only=True)
class ScoresPlan(Plan):
    """A plan with scores that were computed elsewhere."""

    name: str
    """What the record calls them."""
    file: MatrixFile | None = None
    """None: they are in memory."""
    distance: bool
    """Lower is closer."""
    backbone: str | None = None
    source: str | None = None
    setting: Setting | None = None
    """What the user says of the model that gave the scores."""
    first: FirstScoresPlan | None = None
    """The first of two stages, where the scores are the second's."""


@dataclass(frozen=True)
class _Asked:
    """The options of one run, read and found to go together; no data was read for it."""

    values: dict[str, Any]
    passed: dict[str, Any]
    defaulted: dict[str, Any]
    protocol: Protocol
    model: ResolvedModel | Scorer
    """By name, found but not built; or an object that is one."""
    first: FirstStage | None


def plan_runs(each: Sequence[Mapping[str, Any]], output: Path | None = None) -> list[RunPlan]:
    """Return a plan for each set of options, which are those of `xbench.run`, `model` and `dataset` included.

    All options are checked before any data is read, and all data before a plan is returned: what is missing
    for the last should be known before the first is encoded. Renders the miniatures that are asked for. No
    video file is opened. output: a folder that results will be written to.

    Raises UsageError for options that do not go together, DataError for data that is missing, ModelError for
    weights that are.
    """
    asked = [_ask(given) for given in each]
    if output is not None:
        require_writable(output, "The result")
    return [_run_plan(one) for one in asked]


def plan_matrix(given: Mapping[str, Any], output: Path | None = None) -> ScoresPlan:
    """Return a plan for a similarity matrix in a file; the options are those of `xbench score`.

    Raises UsageError and DataError for wrong options and annotations; the matrix itself is read later.
    """
    values = options.read(options.SCORE, given)
    if output is not None:
        require_writable(output, "The result")
    passed, defaulted = options.told_apart(options.SCORE, values)
    name = benchmark(values["dataset"]).id
    annotations, _ = data_folders(name, values["annotations"], None, needs_videos=False)
    split, recognition = _load(name, values | {"annotations": annotations, "limit": None, "miniature": False})
    file = MatrixFile(values["similarity"], values["rows"], values["row_ids"], values["column_ids"])
    scored = _scored(values, split, recognition)
    said = {name: values[name] for name in ("backbone", "source", "setting", "distance")}
    said["first"] = first_stage.of_scores(values, values["first"])
    name = values["similarity"].stem
    return ScoresPlan(name=name, file=file, passed=passed, defaulted=defaulted, **said, **scored)


def plan_scores(
    given: Mapping[str, Any], split: Split, recognition: Recognition | None = None, first: Any = None
) -> ScoresPlan:
    """Return a plan for scores in memory; the options are those of `xbench.evaluate`.

    recognition: of a split that is no protocol's. first: the matrix [T, V] of a first stage, if the scores
    are a second's. Raises UsageError for wrong options.
    """
    values = options.read(options.EVALUATE, given)
    passed, defaulted = options.told_apart(options.EVALUATE, values)
    scored = _scored(values, split, recognition or recognise(split))
    said = {name: values[name] for name in ("name", "distance")}
    said["first"] = first_stage.of_scores(values, first)
    return ScoresPlan(passed=passed, defaulted=defaulted, **said, **scored)


def by_benchmark(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the options of each benchmark of a command that may name several; `dataset` is a list.

    Options that are paths of one benchmark are lists of `[BENCHMARK=]PATH`. `all` names every benchmark; with
    `miniature` those that have one. Raises UsageError for an option that fits one benchmark only.
    """
    asked = _named(given["dataset"], miniature=bool(given.get("miniature")))
    names = list(asked)
    for option in ("protocol", "save_similarity", "first"):
        if option == "first" and not first_stage.is_file(str(given.get(option))):
            continue
        if len(names) > 1 and given.get(option) is not None:
            raise UsageError(
                f"{options.flag(option)} is for one benchmark, but {len(names)} run ({', '.join(names)}):"
                " run it for one alone."
            )
    apart = {name for name, option in options.RUN.items() if option.per_benchmark and given.get(name)}
    paths = {name: options.split_by_benchmark(options.flag(name), given[name], names) for name in apart}
    shared = {name: value for name, value in given.items() if not options.RUN[name].per_benchmark}
    return [
        shared | {"dataset": dataset} | {option: found.get(name) for option, found in paths.items()}
        for name, dataset in asked.items()
    ]


def info_of(model: ResolvedModel | Scorer) -> ScorerInfo:
    """Return what is known of a plan's model before it is built."""
    return model.info if isinstance(model, ResolvedModel) else base.info_of(model)


def data_folders(
    name: str, annotations: Path | None, videos: Path | None, *, needs_videos: bool = True
) -> tuple[Path, Path]:
    """Return the folders of a benchmark's annotations and videos: those given, else below $XBENCH_DATA.

    Raises UsageError when one is neither given nor there by default.
    """
    default = default_folders(name)
    if annotations is None and default is None:
        raise UsageError(_where("annotations", name))
    if videos is None and default is None and needs_videos:
        raise UsageError(_where("videos", name))
    here = default or (Path(), Path())
    return annotations or here[0], videos or here[1]


def miniature_folders(name: str, cache: Path) -> tuple[Path, Path]:
    """Return the folders of a rendered miniature's annotations and videos, rendering it the first time.

    Raises UsageError for a benchmark that has none.
    """
    from xbench.miniature import prepare

    paths = prepare(name, cache)
    return paths.annotations, paths.videos


def require_writable(folder: Path, what: str) -> None:
    """Raise DataError now if `what` could not be written to a folder, which need not be there, at the end."""
    there = next((each for each in (folder, *folder.absolute().parents) if each.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        error.filename = str(there)  # not of the file that was tried
        raise DataError(f"{what} cannot be written to {folder}: {explain(error)}") from error


def _named(datasets: Iterable[str], *, miniature: bool) -> dict[str, str]:
    """The benchmarks named, each once: id -> as it was asked for."""
    asked: dict[str, str] = {}
    for dataset in datasets:
        names = _all(miniature=miniature) if dataset == "all" else [benchmark(dataset).id]
        asked |= {name: name if dataset == "all" else dataset for name in names if name not in asked}
    return asked


def _all(*, miniature: bool) -> list[str]:
    if not miniature:
        return list(benchmarks())
    without = [name for name in benchmarks() if name not in _miniatures()]
    if without:
        say(f"Without a miniature, and left out: {', '.join(without)}.")
    return [name for name in benchmarks() if name not in without]


def _miniatures() -> list[str]:
    from xbench.miniature import MANNERS

    return list(MANNERS)


def _ask(given: Mapping[str, Any]) -> _Asked:
    role = "model" if given.get("rerank") is None else "rerank"
    objects = {name: given.get(name) for name in (role, "first") if not _is_name(given.get(name))}
    values = options.read(options.RUN, {**given, **dict.fromkeys(objects)})
    passed, defaulted = options.told_apart(options.RUN, values)
    passed |= {name: f"{type(each).__module__}:{type(each).__qualname__}" for name, each in objects.items()}
    protocol = choose_protocol(benchmark(values["dataset"]).id, values["protocol"])
    _refuse_contradictions(passed)
    first_stage.refuse_contradictions(values, given)
    model = _model(values, passed, role, objects.get(role), protocol)
    _refuse_workers(values, by_name=role not in objects, needs_videos=info_of(model).needs_videos)
    first = None
    if role == "rerank":
        defaulted.pop("model")  # it has none
        small = _miniature_weights() if values["miniature"] else None
        first = first_stage.plan_first(values, given["first"], protocol, small)
    return _Asked(values, passed, defaulted, protocol, model, first)


def _is_name(given: Any) -> bool:
    return given is None or isinstance(given, str | Path)


def _model(
    values: Mapping[str, Any], passed: Mapping[str, Any], role: str, given: Any, protocol: Protocol
) -> ResolvedModel | Scorer:
    """Return the model of a run, an object or found by its name. Raises UsageError for options not its."""
    if given is not None:
        _refuse(
            passed,
            "of_model",
            "{} is for a model given by name, and this one is an object that has its own: leave it out.",
        )
        return require_scorer(given, type(given).__name__)
    model = catalog.resolve(_model_request(values, values[role], protocol))
    if not info_of(model).needs_videos:
        if role == "rerank":
            raise UsageError(
                f"--rerank {values[role]} reads features and has no model to score with: name one that has."
            )
        _refuse(passed, "of_videos", f"--model {values['model']} reads no video files: leave {{}} out.")
        _refuse_bank(values)
    return model


def _refuse_contradictions(passed: Mapping[str, Any]) -> None:
    if "cache" in passed and not passed["cache"] and "cache_dir" in passed:
        raise UsageError("--no-cache and --cache-dir contradict each other: give one of them.")
    if "miniature" in passed and ("annotations" in passed or "videos" in passed):
        raise UsageError("--miniature brings its own annotations and videos: leave the options for them out.")


def _refuse_workers(values: Mapping[str, Any], *, by_name: bool, needs_videos: bool) -> None:
    """Raise UsageError for what other processes cannot do."""
    if values["ray"] is None:
        for name in ("devices", "mixed_devices"):
            if values[name]:
                raise UsageError(f"{options.flag(name)} is about the workers of --ray: give that, too.")
        return
    if not by_name:
        raise UsageError("--ray builds the model in other processes: give it by name, not as an object.")
    if not needs_videos:
        raise UsageError(
            "--ray is for models that encode, and features are scored faster than workers start: leave it"
            " out."
        )
    if not values["cache"]:
        raise UsageError(
            "--ray needs a cache folder, through which workers share features: leave --no-cache out."
        )
    if values["ray"] != "local" and values["devices"]:
        raise UsageError(
            "--devices is for a local cluster, and --ray ADDRESS uses what that cluster has: leave it out."
        )


def _refuse(passed: Mapping[str, Any], kind: str, why: str) -> None:
    """Raise UsageError when an option of a kind was given."""
    for name, option in options.RUN.items():
        if getattr(option, kind) and name in passed:
            raise UsageError(why.format(options.flag(name)))


def _refuse_bank(values: Mapping[str, Any]) -> None:
    if values["bank"] is not None:
        raise UsageError(
            f"--bank holds captions, and --model {values['model']} encodes none: score its matrix and that of"
            " the bank with `xbench score`."
        )


def _model_request(values: Mapping[str, Any], name: str, protocol: Protocol) -> ModelRequest:
    same = ("checkpoint", "clip", "text_features", "video_features", "bpe", "precision", "device")
    return ModelRequest(
        name=name,
        args=values["model_args"] or {},
        words=protocol.words,
        frames=protocol.frames,
        miniature=_miniature_weights() if values["miniature"] else None,
        **{name: values[name] for name in same},
    )


def _miniature_weights() -> Path:
    """The folder of the small weights and vocabulary that ship beside the miniature."""
    from xbench.miniature import checkpoint_path

    return checkpoint_path().parent


_TAKEN_OVER = (
    "allow_missing",
    "allow_damaged",
    "sampling",
    "pixels",
    "threads",
    "ray",
    "mixed_devices",
    "workers",
    "memory",
    "save_similarity",
)
"""Options that a plan has as they were given."""


def _run_plan(asked: _Asked) -> RunPlan:
    values, name = asked.values, asked.protocol.benchmark
    cache, needs_videos = values["cache_dir"] or cache_dir(), info_of(asked.model).needs_videos
    if values["miniature"]:
        annotations, videos = miniature_folders(name, cache)
    else:
        annotations, videos = data_folders(
            name, values["annotations"], values["videos"], needs_videos=needs_videos
        )
    split, recognition = _load(name, values | {"annotations": annotations})
    scored = _scored(values | {"label": _label(asked)}, split, recognition)
    if values["save_similarity"] is not None:
        _require_file(values["save_similarity"], "The similarity matrix")
    found = None
    if needs_videos:
        found = resolve(split, VideoFolder.index(videos))
        refuse_missing(found.missing, split, videos, allowed=values["allow_missing"])
    return RunPlan(
        model=asked.model,
        found=found,
        videos=videos,
        devices=values["devices"] or (),
        cache=cache if values["cache"] else None,
        miniature=values["miniature"],
        first=asked.first,
        **{option: values[option] for option in _TAKEN_OVER},
        passed=asked.passed,
        defaulted=asked.defaulted,
        **scored,
    )


def _load(name: str, values: Mapping[str, Any]) -> tuple[Split, Recognition]:
    """Read the annotations and tell which protocol they are."""
    split = load_split(name, values["annotations"], values["protocol"])
    if values["limit"] is not None:
        split = split.limit(values["limit"])
    if values["v2t"] is not None:
        split = replace(split, v2t=values["v2t"])
    if values["miniature"] and split.cut_from is None:  # of no published protocol, the record says
        return split, Recognition(protocol=None, notes=(), reasons=())
    return split, recognise(split)


def _label(asked: _Asked) -> str:
    """What a result is called: as the user says, else by its model's entry or the place of its weights."""
    values, model = asked.values, asked.model
    if values["label"] is not None:
        return str(values["label"])
    named = values["rerank"] or values["model"]
    if isinstance(model, ResolvedModel) and model.request.name != named:
        return str(named)
    if values["checkpoint"] is None:
        return ""
    file = values["checkpoint"].absolute()
    number = file.suffix.removeprefix(".")  # pytorch_model.bin.4
    return f"{file.parent.name}/{number if number.isdigit() else file.stem}"


def _scored(values: Mapping[str, Any], split: Split, recognition: Recognition) -> dict[str, Any]:
    """What every plan holds of its options. Raises UsageError for post-processing that the split forbids."""
    if values["post"] == "dsl" and not values["force"]:
        require_one_to_one(split.caption_to_video, len(split.videos))
    return {
        "split": split,
        "recognition": recognition,
        "measures": values["metrics"],
        "ties": values["ties"],
        "post": values["post"],
        "bank": _bank(values),
        "force": values["force"],
        "label": values["label"] or "",
    }


def _bank(values: Mapping[str, Any]) -> Bank | None:
    """The bank of `--post qbnorm`. Raises UsageError for options that do not go together."""
    path, post = values["bank"], values["post"]
    if values["force"] and post != "dsl":
        raise UsageError("--force is for --post dsl, where a video has several captions: leave it out.")
    if (path is None) != (post != "qbnorm"):
        raise UsageError(
            "--post qbnorm and --bank FILE, its training captions, go together: give both or none of them."
        )
    if path is None:
        return None
    if "model" in values:  # one that encodes captions; a matrix has a bank of scores
        return read_captions(path)
    if not path.is_file():
        raise DataError(f"--bank: there is no file {path}. Check the path.")
    return Bank(path, file_sha256(path))


def _require_file(path: Path, what: str) -> None:
    """Raise DataError now if a file could not be written at the end."""
    if path.is_dir():
        raise DataError(f"{what} cannot be written to {path}: it is a folder; name a file.")
    require_writable(path.parent, what)


def _where(what: str, name: str) -> str:
    return (
        f"Where are the {what} of {name}? Give --{what} DIR, or set XBENCH_DATA to the folder that holds "
        f"{benchmark(name).annotations}/. To try xbench without data: --miniature."
    )
