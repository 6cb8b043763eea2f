"""Where a run's annotations, videos and checkpoint come from when they are not all named."""

from pathlib import Path

from xbench.errors import UsageError
from xbench.registry.datasets import benchmark
from xbench.registry.folders import default_folders


def find_sources(
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


def miniature_sources(name: str, cache: Path) -> tuple[Path, Path]:
    """Return the folders of a rendered miniature, rendering it into the cache the first time."""
    from xbench.miniature import prepare

    paths = prepare(name, cache)
    return paths.annotations, paths.videos


def miniature_weights() -> Path:
    """Return the folder of the small weights and vocabulary that ship beside the miniature."""
    from xbench.miniature import checkpoint_path

    return checkpoint_path().parent


def _where(what: str, name: str) -> str:
    return (
        f"Where are the {what} of {name}? Give --{what} DIR, or set XBENCH_DATA to the folder that holds "
        f"{benchmark(name).annotations}/. To try xbench without data: --miniature."
    )
