"""Every option that takes a path is known as one, so that the fault campaign gives it every wrong path."""

import click

from tools.campaign.options import options

WORDS = {
    "NAME",
    "[NAME]...",
    "ID",
    "N",
    "LIST",
    "TEXT",
    "KEY=VALUE",
    "METRIC=DROP",
    "MODEL",
    "RULE",
    "CONDITION",
    "GIB",
    "[HOST:PORT]",
    "val|test|PROTOCOL",
}
"""What stands for a value that is no path."""
NO_PATHS = {"cache clear names", "label text", "models verify --device"}
"""Without such a word; what they take is no path all the same."""
CHECKED_BY_CLICK = (click.Choice, click.types.IntParamType, click.types.FloatParamType)


def test_an_option_takes_a_path_or_says_what_else_it_takes() -> None:
    for option in options():
        parameter = option.parameter
        is_flag = isinstance(parameter, click.Option) and parameter.is_flag
        if not (option.takes_path or is_flag or isinstance(parameter.type, CHECKED_BY_CLICK)):
            assert parameter.metavar in WORDS or option.name in NO_PATHS, (
                f"{option.name}: give it a metavar with FILE, DIR or PATH if it takes one, or name it here"
            )


def test_every_command_is_among_them() -> None:
    commands = {" ".join(option.command) for option in options() if option.takes_path}
    assert {"run", "score", "leaderboard", "report", "check", "datasets verify", "cache clear"} <= commands
