"""`python -m xbench` is the command line."""

from xbench.cli import main

main()
