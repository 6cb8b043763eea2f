"""Hugging Face data sets of the benchmarks: on the Hub, or as a local folder, JSON or parquet file.

One row is a video: `video_id` (or else its file name in `video`), `caption` (a string or a list), where they
are annotated also `sentences` and `duration`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from xbench.data.benchmarks import room
from xbench.data.reading import (
    MEND,
    build_split,
    duration_of,
    field,
    kind,
    read_json_lines,
    read_json_list,
    read_text,
)
from xbench.data.split import Split
from xbench.errors import DataError
from xbench.registry.datasets import Hub, Protocol, benchmark
from xbench.storage import scratch

PREFIX = "hf:"
SUFFIXES = (".json", ".parquet")
_COLUMNS = ("video_id", "video", "caption", "sentences", "duration")

HubRow = Mapping[str, Any]


def load_remote(address: str, protocol: Protocol) -> Split:
    """Load `hf:OWNER/NAME[@REVISION]`. The revision is resolved to a commit, which the split records."""
    layout = _layout(protocol)
    repository, _, revision = address.removeprefix(PREFIX).partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise DataError(f"{address}: expected hf:OWNER/NAME or hf:OWNER/NAME@REVISION.")
    try:
        commit = _commit(repository, revision)
        rows = _read_remote(repository, commit, layout)
    # The libraries raise a dozen classes of their own and of their HTTP clients for a refused connection, an
    # unknown name, a gated set or a missing configuration.
    except Exception as error:
        raise DataError(
            f"{address} cannot be loaded ({type(error).__name__}: {str(error)[:300]}). Without a network, "
            "download the data set elsewhere and give its folder to --annotations."
        ) from error
    pinned = f"{PREFIX}{repository}@{commit}"
    return replace(_build(rows, pinned, protocol, layout), source=pinned)


def load_local(path: Path, protocol: Protocol) -> Split:
    """Load a JSON or parquet file in the layout, or a folder that holds one."""
    layout = _layout(protocol)
    if path.is_dir():
        files = find_files(path, protocol)
        if not files:
            raise DataError(
                f"{path} holds no {layout.files[0]} and no {layout.split}-*.parquet: give the folder that"
                " does."
            )
    else:
        files = [path]
    rows: list[HubRow] = []
    for file in files:
        rows += _read_parquet(file) if file.suffix == ".parquet" else _read_json(file)
    return _build(rows, str(files[0]), protocol, layout)


def find_files(folder: Path, protocol: Protocol) -> list[Path]:
    """Return the files of a local copy that hold this protocol; none if the folder has another layout."""
    if protocol.hub is None:
        return []
    split = protocol.hub.split
    names = [name for file in protocol.hub.files for name in (file, f"{Path(file).stem}.parquet")]
    names += [f"{place}{split}-*.parquet" for place in _places(protocol.hub)]
    names += [f"{place}{split}{suffix}" for place in _places(protocol.hub) for suffix in SUFFIXES]
    found = (sorted(folder.glob(name)) for name in names)
    return next((files for files in found if files), [])


def _places(layout: Hub) -> Sequence[str]:
    return (f"{layout.config}/", "data/", "") if layout.config else ("data/", "")


def _layout(protocol: Protocol) -> Hub:
    if protocol.hub is None:
        others = benchmark(protocol.benchmark).protocols.values()
        known = ", ".join(other.id for other in others if other.hub) or "none"
        raise DataError(
            f"{protocol.id} is not in the Hugging Face data sets; of this benchmark they have: {known}."
            " Choose one of these, or give --annotations the published files."
        )
    return protocol.hub


def _commit(repository: str, revision: str) -> str:
    """The commit that a branch or tag stands for now; a full commit is taken as it is, also offline."""
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    from huggingface_hub import HfApi

    commit = HfApi().dataset_info(repository, revision=revision or None).sha
    if commit is None:
        raise ValueError("the Hub names no commit")
    return commit


def _read_remote(repository: str, commit: str, layout: Hub) -> list[HubRow]:
    from datasets import load_dataset_builder

    builder = load_dataset_builder(repository, layout.config, revision=commit)
    # Without a network, `datasets` falls back to whatever revision it has in its cache, with a warning only.
    if builder.hash != commit:
        raise ConnectionError(f"the cache has another revision, {builder.hash}")
    builder.download_and_prepare()
    dataset = builder.as_dataset(split=layout.split)
    return list(dataset.select_columns([name for name in _COLUMNS if name in dataset.column_names]))


def _read_json(path: Path) -> list[HubRow]:
    """A list of rows, or one row a line, as `datasets` takes both."""
    if read_text(path).lstrip().startswith("{"):
        return [row for _, row in read_json_lines(path)]
    return read_json_list(path)


def _read_parquet(path: Path) -> list[HubRow]:
    from datasets import load_dataset

    try:
        with scratch() as cache:
            dataset = load_dataset(
                "parquet", data_files=str(path), split="train", streaming=True, cache_dir=str(cache)
            )
            columns = [name for name in _COLUMNS if name in (dataset.column_names or [])]
            return list(dataset.select_columns(columns))
    # pyarrow and datasets raise many classes for a file that is not parquet or is damaged.
    except Exception as error:
        raise DataError(
            f"{path}: not a parquet file, or a damaged one ({str(error)[:200]}). {MEND}"
        ) from error


def _build(rows: Sequence[HubRow], source: str, protocol: Protocol, layout: Hub) -> Split:
    pairs: list[tuple[str, str]] = []
    durations: dict[str, float] = {}
    for position, row in enumerate(rows):
        where = f"{source}, row {position}"
        video = _video(where, row, protocol.benchmark)
        texts = _texts(where, row, layout.column)
        pairs += [(video, text) for text in (texts[:1] if layout.first else texts)]
        if row.get("duration") is not None:
            durations[video] = duration_of(where, row)
    return build_split(protocol, pairs, source, durations)


def _video(where: str, row: HubRow, name: str) -> str:
    if isinstance(row, dict) and row.get("video_id") is not None:
        video: str = field(where, row, "video_id", str)
    else:
        # "test/<stem>.mp4": the files were all re-encoded, so the extension is not the id's.
        video = PurePosixPath(field(where, row, "video", str)).name.rpartition(".")[0]
    return room(name).hub_id(video)


def _texts(where: str, row: HubRow, column: str) -> list[str]:
    texts = field(where, dict(row), column, (str, list))
    if isinstance(texts, str):
        return [texts]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise DataError(
            f"{where}: expected {column!r} as a string or a list of strings, found {kind(texts)}."
        )
    return list(texts)
