"""What `xbench datasets` prints, in at most 100 columns."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import yaml
from tabulate import tabulate

from xbench.data.inventory import Stock
from xbench.registry.datasets import Benchmark, Protocol

if TYPE_CHECKING:
    from xbench.data.recognition import Differences
    from xbench.data.split import Split
    from xbench.pipeline.verification import Finding, Verification

_WIDTH = 100
_SHOWN = 10


def listing(stock: Sequence[Stock]) -> str:
    """One table of all protocols, one block a benchmark."""
    rows = [row for each in stock for row in _rows(each)]
    table = tabulate(rows, headers=["protocol", "videos", "captions", "annotations here"], intfmt=",")
    found = "\n".join(f"{each.benchmark.name}: {_videos_here(each)}" for each in stock)
    return f"{table}\n\n* default protocol   v validation set   r only recognised\n\nVideos\n{found}"


def describe_benchmark(entry: Benchmark) -> str:
    """All that is known of a benchmark, and its protocols by title."""
    facts = [
        ("name", entry.name),
        ("default protocol", entry.default_protocol),
        ("annotations", f"{_root(entry)}/{entry.annotations}"),
        ("", f"from {entry.annotations_from}"),
        ("videos", f"{_root(entry)}/{entry.videos}"),
        ("", f"from {entry.videos_from}"),
        ("licence", entry.licence),
        ("can be fetched", ", ".join(entry.fetch) or "nothing"),
        ("named in", str(entry.home or "")),
        ("words x frames", f"{entry.words} x {entry.frames}"),
        ("window", _window(entry)),
    ]
    known = [(name, text) for name, text in facts if text not in ("", "from ")]
    return _facts(known) + "\n\n" + _facts((each.id, each.title) for each in entry.protocols.values())


def fingerprint_text(entry: Benchmark, protocol: Protocol, split: "Split") -> str:
    """The facts of a split as they stand below a protocol in a file of benchmarks."""
    found = asdict(split.fingerprint())
    facts = {name: found.pop(name) for name in ("videos", "captions")} | {"sha256": found}
    windows = found.pop("windows")
    if entry.window == "annotated-duration" or getattr(protocol.read, "end", None):
        facts["windows"] = windows
    return textwrap.indent(yaml.safe_dump(facts, sort_keys=False).rstrip(), " " * 8)


def describe_protocol(entry: Benchmark, protocol: Protocol) -> str:
    """All that is known of a protocol."""
    hashes = protocol.sha256.model_dump() if protocol.sha256 else {}
    facts = [
        ("protocol", protocol.id + _kind(protocol)),
        ("title", protocol.title),
        ("rule", protocol.rule),
        ("files", ", ".join(one if isinstance(one, str) else " or ".join(one) for one in protocol.files)),
        ("videos", _count(protocol.videos)),
        ("captions", _count(protocol.captions)),
        ("video to text", protocol.v2t),
        ("words x frames", f"{protocol.words} x {protocol.frames}"),
        ("window", _window(entry)),
        *((f"sha256 {name}", value) for name, value in hashes.items()),
        *(
            (f"used by {index}", f"{use.paper}: {use.source}")
            for index, use in enumerate(protocol.used_by, 1)
        ),
    ]
    return _facts(facts)


def verification_text(seen: "Verification") -> str:
    """What was found in a copy, with the first videos of each problem."""
    counts = f"{len(seen.split.captions):,} captions, {len(seen.split.videos):,} videos"
    lines = [f"annotations: read as {seen.split.protocol}, {counts}"]
    lines.append(f"recognised: {seen.recognition.protocol or 'no known protocol'}")
    lines += [f"  {note}" for note in dict.fromkeys((*seen.recognition.notes, *seen.unexpected))]
    if not seen.recognition.comparable:
        lines += ["NOT COMPARABLE with published rows:", *(f"  {why}" for why in seen.recognition.reasons)]
    lines += [line for each in seen.recognition.differences for line in _differences(each)]
    if seen.found is None:
        lines.append("videos: not looked at; give --videos DIR")
    else:
        lines.append(f"videos: {seen.found:,} of {len(seen.split.videos):,} have a file")
    for problem, findings in _by_problem(seen.findings).items():
        lines.append(f"{problem}: {len(findings)}")
        lines += [f"  {each.id}" + f"  {each.detail}" * bool(each.detail) for each in findings[:_SHOWN]]
        lines += [f"  and {len(findings) - _SHOWN} more"] * (len(findings) > _SHOWN)
    lines.append("What was looked at is as it should be." if seen.is_right else "NOT as it should be.")
    return "\n".join(lines)


def verification_json(seen: "Verification") -> dict[str, Any]:
    """The same as JSON values, with every finding."""
    return {
        "ok": seen.is_right,
        "read_as": seen.split.protocol,
        "recognised": seen.recognition.protocol,
        "fingerprint": asdict(seen.split.fingerprint()),
        "notes": list(seen.recognition.notes),
        "differences": [asdict(each) for each in seen.recognition.differences],
        "comparable": seen.recognition.comparable,
        "not_comparable_because": list(seen.recognition.reasons),
        "unexpected": list(seen.unexpected),
        "videos": {"wanted": len(seen.split.videos), "found": seen.found},
        "problems": [asdict(finding) for finding in seen.findings],
    }


def _root(entry: Benchmark) -> str:
    return "$XBENCH_DATA" if entry.home is None else str(entry.home.parent)


def _differences(found: "Differences") -> list[str]:
    """All that a split differs in from a protocol, the first ids of each kind."""
    kinds = {"missing": found.missing, "extra": found.extra, "other text": found.changed}
    return [
        f"{kind}, beside {found.protocol}: {len(ids)}: {', '.join(ids[:_SHOWN])}"
        + " ..." * (len(ids) > _SHOWN)
        for kind, ids in kinds.items()
        if ids
    ]


def _rows(stock: Stock) -> list[tuple[str, int | None, int | None, str]]:
    return [
        (each.id + _mark(each, stock.benchmark), each.videos, each.captions, _annotations_here(each, stock))
        for each in stock.benchmark.protocols.values()
    ]


def _mark(protocol: Protocol, benchmark: Benchmark) -> str:
    if protocol.id == benchmark.default_protocol:
        return " *"
    return " v" * protocol.validation + " r" * protocol.recognised_only


def _annotations_here(protocol: Protocol, stock: Stock) -> str:
    if stock.annotations is None or protocol.recognised_only:
        return "-"
    missing = stock.missing[protocol.id]
    return textwrap.shorten(f"no {', '.join(missing)}", 46, placeholder=" ...") if missing else "yes"


def _videos_here(stock: Stock) -> str:
    if stock.videos_folder is None:
        return "set XBENCH_DATA to the folder that holds " + stock.benchmark.annotations
    if stock.videos is None:
        return f"no folder {stock.videos_folder}"
    return f"{stock.videos:,} video files in {stock.videos_folder}"


def _kind(protocol: Protocol) -> str:
    if protocol.recognised_only:
        return "  (only recognised, never run)"
    return "  (validation set: never beside test rows)" if protocol.validation else ""


def _window(entry: Benchmark) -> str:
    if entry.window is None:
        return "the whole video"
    if isinstance(entry.window, tuple):
        return f"seconds {entry.window[0]:g} to {entry.window[1]:g}"
    return "second 0 to the annotated duration, rounded up"


def _count(number: int | None) -> str:
    return "not public" if number is None else f"{number:,}"


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    rows = list(facts)
    indent = max(len(name) for name, _ in rows) + 2
    return "\n".join(
        textwrap.fill(
            text,
            _WIDTH,
            initial_indent=f"{name:{indent}}",
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, text in rows
    )


def _by_problem(findings: "Sequence[Finding]") -> "dict[str, list[Finding]]":
    sorted_out: dict[str, list[Finding]] = {}
    for finding in findings:
        sorted_out.setdefault(finding.problem, []).append(finding)
    return sorted_out
