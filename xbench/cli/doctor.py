"""`xbench doctor`: what this installation is, for a report of a fault."""

import json

import click

from xbench.cli.options import json_option


@click.command("doctor")
@json_option
def command(as_json: bool) -> None:
    """Say what an issue needs: versions, devices, decoder, cache, vocabulary, variables, data folders.

    Nothing private is in it: your home folder is shown as ~. It writes nothing and asks nothing of a network.
    """
    from xbench.pipeline.health import examine

    findings = examine()
    if as_json:
        click.echo(json.dumps(findings, indent=2))
        return
    for section, found in findings.items():
        click.echo(section)
        width = max((len(name) for name in found), default=0)
        for name, text in found.items():
            click.echo(f"  {name:{width}}  {text}")
