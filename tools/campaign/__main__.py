"""`python -m tools.campaign`: every kind of fault, a table of what came of them, exit 1 for a bad one."""

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.campaign import damaged, hostile, killed, options, world
from tools.campaign.children import Ended, Fault, own_peak_mb, tried
from tools.campaign.judging import Table, verdict

BEGIN, END = "<!-- fault table -->", "<!-- end of fault table -->"
_SHOWN = 40


def main() -> int:
    """Run the campaign; print the table, and write it between the markers of a page if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a tenth of it, in about two minutes")
    parser.add_argument(
        "--seed", type=int, default=None, help="of what is drawn; printed, so that it can be given again"
    )
    parser.add_argument("--kinds", default="", help="only these, e.g. kills,streams")
    parser.add_argument("--docs", type=Path, help="the page whose table is written")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # and clean up
    seed = random.SystemRandom().randrange(1 << 30) if given.seed is None else given.seed
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="xbench-campaign-"))
    try:
        table = _campaign(
            folder, random.Random(seed), small=given.small, kinds=set(filter(None, given.kinds.split(",")))
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = table.markdown()
    part = f", {given.kinds} only" if given.kinds else ""
    text += f"\n\nThe {'small' if given.small else 'whole'} campaign{part}, seed {seed}."
    print(f"\n{text}\n{time.monotonic() - began:.0f} s")
    for line in table.wrong[:_SHOWN]:
        print(line.encode("unicode_escape").decode(), file=sys.stderr)
    if given.docs:
        _write_between_markers(given.docs, text)
    return 0 if table.is_clean else 1


def _campaign(folder: Path, dice: random.Random, *, small: bool, kinds: set[str]) -> Table:
    _import_once()
    made = world.make(folder)
    table = Table()
    for kind, faults in _kinds(made, dice, small=small).items():
        if kinds and kind.replace(" ", "-") not in kinds:
            continue
        at_start, began = own_peak_mb(), time.monotonic()
        for fault, ended, where in tried(faults(), folder / "children"):
            _count(table, fault, ended, fault.judge(ended, where), at_start)
            _remove(where)
        print(
            f"{kind}: {sum(table.counts[kind].values())} in {time.monotonic() - began:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    return table


def _kinds(
    made: world.World, dice: random.Random, *, small: bool
) -> dict[str, Callable[[], Iterator[Fault]]]:
    def some(faults: Iterator[Fault], share: int) -> Iterator[Fault]:
        """In the small campaign only so many of a list, drawn anew each time."""
        everything = list(faults)
        return iter(dice.sample(everything, min(share, len(everything))) if small else everything)

    return {
        "kills": lambda: killed.kills(made, 4 if small else 36, dice),
        "disk": lambda: killed.disk(made, 12 if small else 90, dice),
        "permissions": lambda: options.permissions(made, dice, small=small),
        "corruption": lambda: damaged.corruption(made, 44 if small else 660, dice),
        "hostile inputs": lambda: some(hostile.inputs(made), 30),
        "bad server": lambda: some(hostile.server(made), 12),
        "concurrency": lambda: killed.concurrency(made, 2 if small else 12, dice),
        "bounds": lambda: options.bounds(made, 40 if small else 600, dice),
        "streams": lambda: some(hostile.streams(made), 6),
        "annotations": lambda: damaged.annotations(made, 200 if small else 2000, dice),
    }


def _count(table: Table, fault: Fault, ended: Ended, wrong: str, at_start: float) -> None:
    column, why = verdict(fault, ended, wrong, at_start)
    if fault.kind == "annotations" and column == "right":
        for each, count in json.loads(ended.out).items():
            for _ in range(count):
                table.add(fault.kind, each)
        return
    table.add(fault.kind, column, fault.name, why)


def _import_once() -> None:
    """What every command needs is loaded here, so that children need not."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    for name in (
        "av",
        "pandas",
        "scipy.stats",
        "transformers",
        "xbench.pipeline.run",
        "xbench.scorers.catalog",
    ):
        importlib.import_module(name)


def _remove(folder: Path) -> None:
    for path, folders, _ in os.walk(folder):
        for name in folders:
            os.chmod(Path(path) / name, 0o700) if not (Path(path) / name).is_symlink() else None
    shutil.rmtree(folder, ignore_errors=True)


def _write_between_markers(page: Path, table: str) -> None:
    text = page.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    page.write_text(f"{head}{BEGIN}\n\n{table}\n\n{END}{tail}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
