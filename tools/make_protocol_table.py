"""Make docs/protocols.md from datasets.yaml.

Usage: python tools/make_protocol_table.py [--check]    (--check: change nothing, exit 1 if it is out of date)
"""

import sys
from pathlib import Path

from xbench.registry.datasets import Benchmark, Protocol, benchmarks

PAGE = Path(__file__).resolve().parent.parent / "docs" / "protocols.md"
INTRODUCTION = """\
# Protocols

<!-- Made by tools/make_protocol_table.py from datasets.yaml: edit that file. -->

A protocol says exactly what is scored: which videos, which captions, how they are joined, which rule counts
for video-to-text. A number means something only with its protocol. `xbench datasets show ID` prints what
stands here; `xbench datasets verify ID` checks a copy.

What was loaded is recognised by its content, whatever files it came from: four sha256 over the sorted video
ids, the `id<TAB>caption` lines in the protocol's order, the same lines sorted, and those sorted with white
space normalised. The order of captions never matters; a difference in white space only is noted. Everything
else is NOT COMPARABLE with published rows, and the run says in what it differs. A validation set runs but
never stands beside test rows. A user's own CSV, TSV or JSONL (`video_id`, `caption`) is the protocol
`custom`; [a benchmark of your own](benchmarks.md) is recognised as these are.
Counts and hashes of LSMDC are given here; its captions are handed out by their owners only.

In the tables, * marks a benchmark's default. Words and frames are what the published scripts use; the shapes
of a checkpoint win over them.
"""


def page() -> str:
    """The whole page."""
    return INTRODUCTION + "".join(_benchmark(entry) for entry in benchmarks().values())


def _benchmark(entry: Benchmark) -> str:
    lines = [
        f"\n## {entry.name}\n",
        f"Annotations in `$XBENCH_DATA/{entry.annotations}`: {entry.annotations_from}.",
        f"Videos in `$XBENCH_DATA/{entry.videos}`: {entry.videos_from}.",
        f"{entry.licence} Scored: {_window(entry)}.\n",
        "| protocol | videos | captions | video to text | words x frames | |",
        "|---|---|---|---|---|---|",
        *(_row(entry, protocol) for protocol in entry.protocols.values()),
    ]
    return "\n".join(lines) + "\n" + "".join(_protocol(each) for each in entry.protocols.values())


def _row(entry: Benchmark, each: Protocol) -> str:
    star = " *" if each.id == entry.default_protocol else ""
    counts = f"{_count(each.videos)} | {_count(each.captions)}"
    return f"| `{each.id}`{star} | {counts} | {each.v2t} | {each.words} x {each.frames} | {_kind(each)} |"


def _protocol(each: Protocol) -> str:
    lines = [f"\n### `{each.id}`\n", f"{each.title}. {each.rule}\n"]
    lines.append("- Read from: " + ", ".join(_file(names) for names in each.files))
    if each.hub:
        config = f", configuration `{each.hub.config}`" if each.hub.config else ""
        column = f", column `{each.hub.column}`" if each.hub.column != "caption" else ""
        lines.append(f"- On the Hub: `hf:{each.hub.repository}`{config}, split `{each.hub.split}`{column}")
    if each.used_by:
        lines.append("- Used by: " + "; ".join(f"{use.paper} ({use.source})" for use in each.used_by))
    if each.sha256:
        lines += [f"- sha256 of {name}: `{value}`" for name, value in each.sha256.model_dump().items()]
    return "\n".join(lines) + "\n"


def _file(names: str | tuple[str, ...]) -> str:
    return f"`{names}`" if isinstance(names, str) else " or ".join(f"`{name}`" for name in names)


def _kind(each: Protocol) -> str:
    if each.recognised_only:
        return "only recognised, never run"
    return "validation set" if each.validation else ""


def _window(entry: Benchmark) -> str:
    if entry.window is None:
        return "the whole video"
    if isinstance(entry.window, tuple):
        return f"seconds {entry.window[0]:g} to {entry.window[1]:g} of each video"
    return "second 0 to the annotated duration, rounded up"


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def main() -> int:
    """Write the page, or compare it."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page():
        print(f"{PAGE} is not what datasets.yaml says: run python {sys.argv[0]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
