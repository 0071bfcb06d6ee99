"""`dogcls-tui emulator`: a local Azure OpenAI for any client; and the settings and ledger of the demo's own."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from engine import (
    DIALS,
    EmulatorSettings,
    Engine,
    InputError,
    Payment,
    ReadOnlyError,
    counted,
    dial_text,
    emulator_command,
    emulator_patch,
)
from tui.commands.common import globals_of, out, out_json, say, with_engine
from tui.text import moment, one_line
from tui.wording import client_name, tokens

RESTING = "the emulator is not running: the first job starts it, and so does a setting"
_NAMES = "\n\n".join(f"{dial.name}: {dial.help} ({dial.allowed})" for dial in DIALS)

app = typer.Typer()
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def emulator(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option(help="Where it listens. Anything but loopback is your own decision. [127.0.0.1]")
    ] = None,
    port: Annotated[int, typer.Option(help="0 takes the last one, or a free one.", min=0, max=65535)] = 0,
    speed: Annotated[
        str | None, typer.Option(help="How fast waiting passes: real, fast, instant, or how many times as fast. [fast]")
    ] = None,
    no_brain: Annotated[
        bool, typer.Option("--no-brain", help="Answer at random, without looking at pictures.")
    ] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="What goes wrong, NAME=VALUE; may be given again. See: emulator settings --help"),
    ] = None,
    quota_minute: Annotated[
        float | None, typer.Option(help="Seconds that a minute of tokens and requests lasts; 0: no quota.", min=0)
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Where it keeps everything; a folder of --home unless named.")
    ] = None,
) -> None:
    """Serve an emulator of Azure OpenAI until stopped; how to reach it is the first line.

    What is set is kept with its state. The two commands below are about the emulator that the profile demo
    starts by itself.
    """
    if context.invoked_subcommand is not None:
        return
    options = globals_of(context)
    if options.readonly:
        raise ReadOnlyError("No emulator is started")
    command = emulator_command(
        options.home,
        state,
        host=host,
        port=port,
        speed=speed,
        brain=not no_brain,
        faults=tuple(fault or ()),
        quota_minute=quota_minute,
    )
    sys.stdout.flush()
    # The server takes this process's place: signals, exit code and output are its own.
    os.execv(command[0], command)  # noqa: S606 - our own interpreter


@app.command(epilog=_NAMES)
def settings(
    context: typer.Context,
    assignments: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to set, at once, while it runs. default restores, off puts a fault out, faults=off all of them.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show or set the demo emulator's speed and faults.

    As in: emulator settings latency=article lost_lines=5% 'calls=chat 429 20%; batches.* 500 10%'
    """
    texts = []
    for assignment in assignments or ():
        name, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"{assignment}: write NAME=VALUE.", "As in: lost_lines=5%. See: emulator settings --help")
        texts.append((name.strip(), text))
    patch = emulator_patch(texts)

    async def work(engine: Engine) -> None:
        found = await engine.emulation.set(patch) if texts else await engine.emulation.settings()
        if as_json:
            out_json({"running": False} if found is None else {"running": True, **asdict(found)})
        elif found is None:
            say(RESTING)
        else:
            _print_settings(found)

    with_engine(context, work)


def _print_settings(found: EmulatorSettings) -> None:
    for dial in DIALS:
        out(f"{dial.name:<16}  {one_line(dial_text(found, dial.name))}")
    say(f"faults that are on: {one_line(', '.join(found.active)) or 'none'}")


@app.command()
def ledger(context: typer.Context, as_json: Json = False) -> None:
    """Show what the demo's emulator was paid for.

    By whom, when, and for how many tokens. It is the emulator's money: nobody charges it.
    """

    async def work(engine: Engine) -> None:
        found = await engine.emulation.ledger()
        if as_json:
            rows = None if found is None else [asdict(payment) for payment in found]
            out_json({"running": False} if rows is None else {"running": True, "payments": rows})
        elif found is None:
            say(RESTING)
        else:
            for payment in found:
                out(_line(payment))
            if not found:
                say("nothing was paid for yet")

    with_engine(context, work)


def _line(payment: Payment) -> str:
    what = f"{moment(payment.at)}  {payment.kind:<11}  {one_line(payment.name or payment.id, 80):<36}"
    until = f"until {moment(payment.until)[11:]}" if payment.until is not None else ""
    requests = counted(payment.requests, "request") if payment.requests else ""
    parts = [requests, tokens(payment), until]
    return f"{what}  {client_name(payment.client):<12}  {'  '.join(filter(None, parts))}".rstrip()
