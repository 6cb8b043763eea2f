"""`xbench datasets`: what the benchmarks and protocols are, what is on this machine, and getting it there."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xbench.cli.compress import command as compress
from xbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from xbench.registry.datasets import Benchmark, Protocol

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, and nothing else.")


@click.group("datasets")
def command() -> None:
    """List, show, verify and fetch the benchmarks and their protocols."""


@command.command("list")
@json_option
def list_protocols(as_json: bool) -> None:
    """List benchmarks and protocols with their counts, and what is found below $XBENCH_DATA."""
    from xbench.cli.datasets_text import listing
    from xbench.data.inventory import take_stock

    stock = take_stock()
    click.echo(json.dumps([each.as_json() for each in stock], indent=2) if as_json else listing(stock))


@command.command("show")
@click.argument("name", metavar="ID")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show all that is known of a benchmark (`didemo`) or protocol (`didemo/paragraph`)."""
    from xbench.cli.datasets_text import describe_benchmark, describe_protocol

    entry, protocol = _find(name)
    if as_json:
        click.echo((protocol or entry).model_dump_json(indent=2))
    else:
        click.echo(describe_protocol(entry, protocol) if protocol else describe_benchmark(entry))


@command.command("verify")
@click.argument("name", metavar="ID")
@click.option(
    "--annotations",
    metavar="DIR",
    help="Annotation files, or hf:OWNER/NAME.  [default: $XBENCH_DATA/<Benchmark>]",
)
@click.option(
    "--videos",
    type=click.Path(path_type=Path),
    help="Video files.  [default: $XBENCH_DATA/<Benchmark>/videos; without either, annotations only]",
)
@click.option("--deep", is_flag=True, help="Decode every video as a run would, not only its header.")
@json_option
def verify(name: str, annotations: str | None, videos: Path | None, deep: bool, as_json: bool) -> None:
    """Check a copy: fingerprint, missing, unreadable, zero-frame, damaged and wrong-duration videos.

    Ends with exit code 3 when something is wrong.
    """
    from xbench.cli.datasets_text import verification_json, verification_text
    from xbench.pipeline.verification import verify as verify_data
    from xbench.registry.folders import default_folders

    entry, protocol = _find(name)
    default = default_folders(entry.id)
    if annotations is None and default is None:
        raise UsageError(
            f"Where are the annotations of {entry.id}? Give --annotations DIR or set XBENCH_DATA."
        )
    source = annotations or str(default[0] if default else "")
    folder = videos or (default[1] if default and default[1].is_dir() else None)
    if deep and folder is None:
        raise UsageError("--deep decodes videos: give --videos DIR, or put them where XBENCH_DATA says.")
    seen = verify_data(entry.id, protocol.id if protocol else None, source, folder, deep=deep)
    click.echo(json.dumps(verification_json(seen), indent=2) if as_json else verification_text(seen))
    if not seen.is_right:
        problems = len(seen.findings) + bool(seen.unexpected)
        raise DataError(f"{name}: {problems} problem{'s' if problems > 1 else ''}, listed on stdout.")


@command.command("fetch")
@click.argument("name", metavar="ID")
@click.option("--to", type=click.Path(path_type=Path), help="[default: $XBENCH_DATA/<Benchmark>]")
def fetch(name: str, to: Path | None) -> None:
    """Download the annotations of a benchmark or protocol from pinned public addresses.

    Videos, LSMDC and whatever a licence or a form guards are not fetched: it says where to go.
    """
    from xbench.data.fetch import bytes_to_fetch
    from xbench.data.fetch import fetch as fetch_files
    from xbench.progress import stage
    from xbench.registry.folders import default_folders

    entry, protocol = _find(name)
    default = default_folders(entry.id)
    folder = to or (default[0] if default else None)
    if folder is None:
        raise UsageError("Where to? Give --to DIR or set XBENCH_DATA.")
    wanted = [protocol] if protocol else list(entry.protocols.values())
    with stage(f"{entry.id}: fetching", bytes_to_fetch(entry, wanted, folder), "bytes") as advance:
        outcomes = fetch_files(entry, wanted, folder, advance)
    for outcome in outcomes:
        click.echo(
            f"{outcome.state}: {folder / outcome.name}" + f"\n  {outcome.detail}" * bool(outcome.detail)
        )
    click.echo(
        f"videos: not fetched; {entry.videos_from}\n  put them below {folder / Path(entry.videos).name}"
    )
    click.echo(f"licence: {entry.licence}")
    failed = [outcome.name for outcome in outcomes if not outcome.is_fine]
    if failed:
        raise DataError(f"{len(failed)} of {len(outcomes)} files are not there: {', '.join(failed)}.")


def _find(name: str) -> "tuple[Benchmark, Protocol | None]":
    """A benchmark by its id, or a protocol with its benchmark."""
    from xbench.registry.datasets import benchmark, benchmarks, protocol, protocols

    if name in benchmarks():
        return benchmark(name), None
    if "/" not in name:
        known: dict[str, Any] = benchmarks() | protocols()
        from xbench.errors import did_you_mean

        raise UsageError(f"There is no benchmark or protocol {name!r}.{did_you_mean(name, known)}")
    found = protocol(name)
    return benchmark(found.benchmark), found


command.add_command(compress)
