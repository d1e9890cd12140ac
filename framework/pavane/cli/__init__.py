"""The command line: `pavane`. One group of commands per file.

program     the commands put together, global options, exit codes
run         processes of workers; `processes` several of them
start, runs, dlq, topology, asyncapi, contracts, doctor
session     settings, output and client of a command
output      JSON for programs, text for people, nothing a terminal would obey
"""

from pavane.cli.program import main

__all__ = ["main"]
