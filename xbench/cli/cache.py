"""`xbench cache`: what is in the cache folder, and how to get rid of it."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xbench.cli.options import json_option
from xbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from xbench.engine.store import Stored

_cache_dir = click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Default: $XBENCH_CACHE, else ~/.cache/xbench.",
)


@click.group("cache")
def command() -> None:
    """List or clear the cached features. They can always be computed again."""


@command.command("list")
@_cache_dir
@json_option
def list_features(cache_dir: Path | None, as_json: bool) -> None:
    """List the cached features, one line for each model and setting, and what unfinished scorings keep."""
    from tabulate import tabulate

    from xbench.engine.store import stored
    from xbench.storage import cache_dir as default_cache_dir

    root = cache_dir or default_cache_dir()
    entries = list(stored(root))
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "name": entry.folder.name,
                        "videos": entry.videos,
                        "texts": entry.texts,
                        "bytes": entry.size,
                        "written": datetime.fromtimestamp(entry.used)
                        .astimezone()
                        .isoformat(timespec="seconds"),
                        "identity": dict(entry.identity),
                        "current": entry.current,
                    }
                    for entry in entries
                ],
                indent=2,
            )
        )
        return
    click.echo(f"{root}: {sum(entry.size for entry in entries) / 1e6:.1f} MB of features")
    if entries:
        rows = [
            (
                entry.folder.name,
                entry.videos,
                f"{entry.size / 1e6:.1f}",
                datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d %H:%M"),
                _about(entry),
            )
            for entry in entries
        ]
        click.echo(tabulate(rows, headers=["name", "videos", "MB", "last written", "what"]))


@command.command("clear")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Clear the features of all models.")
@_cache_dir
def clear_features(names: tuple[str, ...], everything: bool, cache_dir: Path | None) -> None:
    """Remove the features of the named entries (see `xbench cache list`), or of all of them."""
    from xbench.engine.store import clear, stored
    from xbench.errors import did_you_mean
    from xbench.storage import cache_dir as default_cache_dir

    if bool(names) == everything:
        raise UsageError("Name the entries to clear (see `xbench cache list`), or give --all.")
    entries = {entry.folder.name: entry for entry in stored(cache_dir or default_cache_dir())}
    unknown = [name for name in names if name not in entries]
    if unknown:
        raise UsageError(f"The cache has no entry {unknown[0]!r}.{did_you_mean(unknown[0], entries)}")
    chosen = list(entries) if everything else names
    kept = [line for name in chosen for line in clear(entries[name])]
    if kept:
        raise DataError("\n  ".join(["These could not be removed; clear again when that is mended:", *kept]))
    freed = sum(entries[name].size for name in chosen) / 1e6
    click.echo(f"Cleared {len(chosen)} of {len(entries)} entries, {freed:.1f} MB.")


def _about(entry: "Stored") -> str:
    from xbench.engine.store import scorings

    if not entry.current:
        return "of an earlier version of xbench, read no more"
    if entry.folder == scorings(entry.folder.parent):
        return "finished parts of scorings that have not ended"
    identity = entry.identity
    weights = str(identity.get("weights", ""))[:12]
    parts = [str(identity.get(name, "")) for name in ("scorer", "variant", "precision", "device")]
    return " ".join(part for part in [*parts, weights] if part)
