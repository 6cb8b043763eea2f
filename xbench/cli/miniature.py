"""`xbench miniature`: write the rendered benchmarks out, to look at them and to try things on."""

from pathlib import Path

import click

from xbench.errors import DataError, UsageError, explain


@click.command("miniature")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Only this one. Repeatable.")
def command(folder: Path, datasets: tuple[str, ...]) -> None:
    """Write the five miniature benchmarks into DIR, in their official layouts.

    DIR then looks as $XBENCH_DATA does with the real data: DIR/DiDeMo/test_data.json, DIR/DiDeMo/videos/ and
    so on. `xbench run --miniature` does not need this; it renders into the cache.
    """
    from xbench.miniature import MANNERS, MiniaturePaths, render, require_miniature
    from xbench.registry.datasets import benchmark

    entries = [benchmark(name) for name in datasets or MANNERS]
    for entry in entries:
        require_miniature(entry.id)
    targets = [MiniaturePaths(folder / entry.annotations, folder / entry.videos) for entry in entries]
    for target in targets:
        if target.annotations.exists():
            raise UsageError(f"{target.annotations} exists already: name another DIR, or remove it first.")
    for entry, target in zip(entries, targets, strict=True):
        try:
            render(entry.id, target)
        except OSError as error:
            raise DataError(f"Cannot write the miniature into {folder}: {explain(error)}") from None
        count = len(list(target.videos.iterdir()))
        click.echo(f"{entry.name}: {count} clips in {target.videos}, annotations in {target.annotations}")
    click.echo(f"To read it as any data: XBENCH_DATA={folder.resolve()}")
