"""The program `pavane`: its commands, its global options, and how it ends."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from pavane.cli import (
    asyncapi,
    audit,
    check,
    contracts,
    dlq,
    doctor,
    emit,
    events,
    graph,
    queues,
    run,
    runs,
    start,
    steering,
    topology,
    workflows,
)
from pavane.cli.exits import DONE, INTERRUPTED, TIMED_OUT, USAGE, code_of, remedy_of
from pavane.cli.later import refuse_later
from pavane.cli.logs import quiet_logs
from pavane.cli.output import Output
from pavane.cli.session import Session
from pavane.errors import PavaneError

FLAGS = ("--json",)
WITH_VALUE = ("--env-file", "--namespace")

program = typer.Typer(
    name="pavane",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@program.callback()
def pavane(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Answers and errors as JSON.")] = False,
    env_file: Annotated[
        Path | None,
        typer.Option("--env-file", help="PAVANE_* variables, read where the environment is silent."),
    ] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", help="Instead of PAVANE_NAMESPACE.")] = None,
) -> None:
    """Long-running workflows on RabbitMQ and Redis.

    Exit codes: 0 done; 1 the answer is no; 2 usage, settings or definition error; 3 not found;
    4 broker or store unreachable; 5 refused by the present status, or not confirmed; 124 timed out.
    """
    context.obj = Session(json=json, env_file=env_file, namespace=namespace)


program.command("run")(run.run)
program.command("start")(start.start)
program.command("emit")(emit.emit)
for command in (
    steering.cancel,
    steering.compensate,
    steering.pause,
    steering.resume,
    steering.skip,
    steering.deadline,
):
    runs.commands.command(command.__name__)(command)
program.add_typer(runs.commands, name="runs")
program.add_typer(dlq.commands, name="dlq")
program.command("audit")(audit.audit)
program.add_typer(topology.commands, name="topology")
program.command("asyncapi")(asyncapi.asyncapi)
program.add_typer(contracts.commands, name="contracts")
program.command("check")(check.check)
program.command("graph")(graph.graph)
program.command("doctor")(doctor.doctor)
program.command("queues")(queues.queues)
program.add_typer(events.commands, name="events")
program.add_typer(workflows.commands, name="workflows")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit. What concerns the whole process is set here."""
    given = sys.argv[1:] if arguments is None else arguments
    out = output_of(given)
    warnings.showwarning = _warning_to(out)
    quiet_logs(json=out.json)
    sys.exit(execute(given))


def output_of(arguments: Sequence[str]) -> Output:
    """Where even a command line that cannot be read is answered."""
    return Output(json="--json" in hoist(arguments)[0])


def execute(arguments: Sequence[str]) -> int:
    """Run the program; its exit code."""
    globals_, rest = hoist(arguments)
    out = output_of(arguments)
    try:
        refuse_later(rest)
        code = get_command(program).main(args=[*globals_, *rest], prog_name="pavane", standalone_mode=False)
    except PavaneError as error:
        out.error(error.code, str(error), remedy_of(error))
        return code_of(error)
    except TimeoutError as error:
        out.error("timeout", str(error), "It goes on by itself: look again, or give a longer --timeout.")
        return TIMED_OUT
    except typer.Abort:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. Nothing more can be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        message = _usage_message(error)
        if message is None:
            raise
        out.error("usage_error", message, "`--help` shows what can be given.")
        return USAGE
    return code if isinstance(code, int) else DONE


def hoist(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The global options, wherever they stand before a `--`, and the rest."""
    globals_: list[str] = []
    rest: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        if word == "--":
            return globals_, [*rest, word, *left]
        if word in FLAGS or word.startswith(tuple(f"{name}=" for name in WITH_VALUE)):
            globals_.append(word)
        elif word in WITH_VALUE:
            globals_ += [word, *left[:1]]
            del left[:1]
        else:
            rest.append(word)
    return globals_, rest


def _usage_message(error: Exception) -> str | None:
    """What the parser of the command line has to say; `None` for any other error.

    The parser's classes have no stable home (typer has begun to bring its own), but this method.
    """
    say = getattr(error, "format_message", None)
    return str(say()) if callable(say) else None


def _warning_to(out: Output) -> Any:
    def show(message: Warning | str, *_: object, **__: object) -> None:
        if not out.json:
            out.note(f"Warning: {message}")

    return show
