"""What an installation is and whether it can work: what a report of a fault needs, and nothing private."""

import importlib.metadata
import os
import platform
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from xbench.data.loading import load_split
from xbench.data.recognition import recognise
from xbench.data.video_files import VideoFolder
from xbench.errors import XbenchError
from xbench.pipeline.record import git_revision
from xbench.registry.datasets import Benchmark, benchmarks
from xbench.registry.folders import default_folders
from xbench.storage import cache_dir

_OPTIONAL = ("triton", "ray", "open_clip_torch", "opencv-python-headless", "torchvision")
_VARIABLES = re.compile(
    r"XBENCH_\w+|XDG_CACHE_HOME|XDG_CONFIG_HOME|CUDA_VISIBLE_DEVICES|OMP_NUM_THREADS|MKL_NUM_THREADS|HF_HOME|HF_HUB_OFFLINE"
)
Findings = dict[str, dict[str, str]]
"""Section -> name -> what was found."""


def examine() -> Findings:
    """Look at everything that decides whether and how xbench works here. Never raises, writes nothing."""
    sections: dict[str, Callable[[], Mapping[str, str]]] = {
        "xbench": _own,
        "libraries": _libraries,
        "machine": _machine,
        "devices": _devices,
        "decoder": _decoder,
        "cache": _cache,
        "vocabulary": _vocabulary,
        "variables": _variables,
        "data": _data,
    }
    return {
        name: {key: _private(text) for key, text in _tried(look).items()} for name, look in sections.items()
    }


def _tried(look: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    try:
        return look()
    except Exception as error:  # a broken library is a finding like any other
        return {"fault": f"{type(error).__name__}: {error}"}


def _private(text: str) -> str:
    """Return a text in which the user's home folder is `~`."""
    home = str(Path.home())
    return text.replace(home, "~") if home not in ("", "/") else text


def _own() -> Mapping[str, str]:
    return {
        "version": _version("xbench"),
        "revision": git_revision() or "an installed package",
        "folder": str(Path(__file__).resolve().parents[1]),
    }


def _libraries() -> Mapping[str, str]:
    required = importlib.metadata.requires("xbench") or []
    names = [re.split(r"[<>=!~;\s\[]", line, maxsplit=1)[0] for line in required if "extra ==" not in line]
    optional = [name for name in _OPTIONAL if _version(name) != "not installed"]
    return {name: _version(name) for name in [*names, *optional]}


def _machine() -> Mapping[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{memory / 2**30:.1f} GiB",
    }


def _devices() -> Mapping[str, str]:
    import torch

    found = {"cpu": f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"}
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        found[f"cuda:{index}"] = f"{about.name}, {about.total_memory / 2**30:.1f} GiB"
    return found if len(found) > 1 else found | {"cuda": f"none (torch {torch.__version__})"}


def _decoder() -> Mapping[str, str]:
    import av

    codecs = {name: name in av.codecs_available for name in ("h264", "hevc", "vp9", "av1", "mpeg4", "wmv2")}
    lacking = [name for name, there in codecs.items() if not there]
    versions = {name: ".".join(map(str, version)) for name, version in av.library_versions.items()}
    return versions | {"codecs": f"without {', '.join(lacking)}" if lacking else "all that benchmarks use"}


def _cache() -> Mapping[str, str]:
    folder = cache_dir()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free / 2**30
    state = "can be written" if os.access(there, os.W_OK) else "CANNOT BE WRITTEN"
    return {"folder": str(folder), "state": state, "free": f"{free:.1f} GiB"}


def _vocabulary() -> Mapping[str, str]:
    from xbench.scorers.clip.bpe import at_hand

    found = at_hand()
    return {"CLIP": str(found) if found else "not at hand: fetched when a model needs it, or give --bpe FILE"}


def _variables() -> Mapping[str, str]:
    return {name: value for name, value in sorted(os.environ.items()) if _VARIABLES.fullmatch(name)}


def _data() -> Mapping[str, str]:
    if not os.environ.get("XBENCH_DATA"):
        return {"XBENCH_DATA": "not set: give --annotations and --videos"}
    return {name: _benchmark(name, entry) for name, entry in benchmarks().items()}


def _benchmark(name: str, entry: Benchmark) -> str:
    folders = default_folders(name)
    if folders is None or not folders[0].is_dir():
        return f"no annotations ({entry.annotations} is not there)"
    return f"{_annotations(name, folders[0])}; {_videos(folders[1])}"


def _annotations(name: str, folder: Path) -> str:
    try:
        split = load_split(name, folder)
        found = recognise(split)
    except XbenchError as error:
        return str(error).splitlines()[0]
    about = f"{len(split.captions)} captions of {len(split.videos)} videos"
    return f"{found.protocol}, {about}" if found.protocol else f"{about}, no known protocol"


def _videos(folder: Path) -> str:
    try:
        files = VideoFolder.index(folder).by_stem
    except XbenchError:
        return f"no videos ({folder} is not there)"
    return f"{sum(len(paths) for paths in files.values())} video files"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
