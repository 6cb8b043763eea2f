"""A user's own annotations: a CSV or JSONL file of video ids and captions, one caption a row."""

from pathlib import Path

from xbench.data.reading import build_split, field, read_csv, read_json_lines
from xbench.data.split import Split
from xbench.errors import DataError
from xbench.registry.datasets import Protocol

SUFFIXES = (".csv", ".jsonl")


def load(path: Path, protocol: Protocol) -> Split:
    """Read every row as a caption; a video may have several, which need not stand together."""
    rows = read_csv(path, ["video_id", "caption"]) if path.suffix.lower() == ".csv" else _read_jsonl(path)
    for number, (video, text) in rows:
        if not video.strip() or not text.strip():
            raise DataError(f"{path}, line {number}: expected a video_id and a caption, one is empty.")
    return build_split(protocol, [(video, text) for _, (video, text) in rows], path)


def _read_jsonl(path: Path) -> list[tuple[int, tuple[str, ...]]]:
    rows: list[tuple[int, tuple[str, ...]]] = []
    for number, entry in read_json_lines(path):
        where = f"{path}, line {number}"
        rows.append((number, (field(where, entry, "video_id", str), field(where, entry, "caption", str))))
    return rows
