"""`xbench datasets`: what the benchmarks and protocols are, what is on this machine, and getting it there."""

import json
from pathlib import Path

import click

from xbench.cli.compress import command as compress
from xbench.errors import DataError, UsageError

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, and nothing else.")


@click.group("datasets")
def command() -> None:
    """List, show, verify and fetch the benchmarks and their protocols."""


@command.command("list")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@json_option
def list_protocols(names: tuple[str, ...], as_json: bool) -> None:
    """List benchmarks and protocols with their counts, and what is found below $XBENCH_DATA.

    NAME is a benchmark, or the YAML file of one of your own; without any, all that are known.
    """
    from xbench.cli.datasets_text import listing
    from xbench.data.inventory import take_stock
    from xbench.registry.datasets import benchmark, known_benchmarks

    stock = take_stock([benchmark(name) for name in names] or list(known_benchmarks().values()))
    click.echo(json.dumps([each.as_json() for each in stock], indent=2) if as_json else listing(stock))


@command.command("show")
@click.argument("name", metavar="ID")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show all that is known of a benchmark (`didemo`, `my.yaml`) or protocol (`didemo/paragraph`)."""
    from xbench.cli.datasets_text import describe_benchmark, describe_protocol
    from xbench.registry.datasets import find

    entry, protocol = find(name)
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
    from xbench.registry.datasets import find
    from xbench.registry.folders import default_folders

    entry, protocol = find(name)
    default = default_folders(entry.id)
    source = annotations or _default_annotations(entry.id)
    folder = videos or (default[1] if default and default[1].is_dir() else None)
    if deep and folder is None:
        raise UsageError("--deep decodes videos: give --videos DIR, or put them where XBENCH_DATA says.")
    seen = verify_data(entry.id, protocol.id if protocol else None, source, folder, deep=deep)
    click.echo(json.dumps(verification_json(seen), indent=2) if as_json else verification_text(seen))
    if not seen.is_right:
        problems = len(seen.findings) + bool(seen.unexpected)
        raise DataError(
            f"{name}: {problems} problem{'s' if problems > 1 else ''}, listed on stdout. Mend what is"
            " listed, and verify again."
        )


@command.command("fingerprint")
@click.argument("name", metavar="ID")
@click.option("--annotations", metavar="DIR", help="Annotation files.  [default: as the benchmark says]")
def fingerprint(name: str, annotations: str | None) -> None:
    """Print the counts and hashes of annotations, to paste below the protocol in your benchmark's YAML file.

    ID is that file (`my.yaml`: its default protocol), or a protocol. From then on every other content is NOT
    COMPARABLE, and the run says in what it differs.
    """
    from xbench.cli.datasets_text import fingerprint_text
    from xbench.data.loading import load_split
    from xbench.registry.datasets import find

    entry, protocol = find(name)
    chosen = protocol or entry.protocols[entry.default_protocol]
    split = load_split(entry.id, annotations or _default_annotations(entry.id), chosen.id)
    click.echo(fingerprint_text(entry, chosen, split))


def _default_annotations(benchmark: str) -> str:
    from xbench.registry.folders import default_folders

    default = default_folders(benchmark)
    if default is None:
        raise UsageError(f"Where are the annotations of {benchmark}? Give --annotations or set XBENCH_DATA.")
    return str(default[0])


@command.command("fetch")
@click.argument("name", metavar="ID")
@click.option("--to", type=click.Path(path_type=Path), help="[default: $XBENCH_DATA/<Benchmark>]")
def fetch(name: str, to: Path | None) -> None:
    """Download the annotations of a benchmark or protocol from pinned public addresses.

    Videos and whatever a licence or a form guards are not fetched: it says where to go.
    """
    from xbench.data.fetch import bytes_to_fetch
    from xbench.data.fetch import fetch as fetch_files
    from xbench.progress import stage
    from xbench.registry.datasets import find
    from xbench.registry.folders import default_folders

    entry, protocol = find(name)
    if entry.home is not None:
        raise UsageError(
            f"{entry.home} names no place to fetch {entry.id} from: put its files there yourself."
        )
    default = default_folders(entry.id)
    folder = to or (default[0] if default else None)
    if folder is None:
        raise UsageError("Where to? Give --to DIR or set XBENCH_DATA.")
    wanted = [protocol] if protocol else list(entry.protocols.values())
    with stage(f"{entry.id}: fetching", bytes_to_fetch(entry, wanted, folder), "bytes") as advance:
        files = fetch_files(entry, wanted, folder, advance)
    for file in files:
        click.echo(f"{file.state}: {folder / file.name}" + f"\n  {file.detail}" * bool(file.detail))
    click.echo(
        f"videos: not fetched; {entry.videos_from}\n  put them below {folder / Path(entry.videos).name}"
    )
    click.echo(f"licence: {entry.licence}")
    failed = [file.name for file in files if not file.is_fine]
    if failed:
        raise DataError(
            f"{len(failed)} of {len(files)} files are not there: {', '.join(failed)}. Put them below {folder}"
            " yourself, or fetch again, which goes on from here."
        )


command.add_command(compress)
