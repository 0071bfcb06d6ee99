"""What all commands share: the engine, saying, asking, printing."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from engine import escape, is_unicode
from tui import terminal
from tui.options import Globals
from tui.text import escaped, literal

if TYPE_CHECKING:
    import asyncio  # the event loop and the engine: only for commands that need them, which some do not

    from engine import Engine, Plan, Price

T = TypeVar("T")


def globals_of(context: typer.Context) -> Globals:
    """Return the options before the command."""
    found = context.find_object(Globals)
    return found if found is not None else Globals()


def with_engine(context: typer.Context, work: Callable[[Engine], Coroutine[Any, Any, T]]) -> T:
    """Open the engine, run a coroutine on it, close it.

    A closed terminal (SIGHUP) and SIGTERM end it as Ctrl-C does, not in the middle of a step.
    """
    import asyncio

    from engine import Engine

    options = globals_of(context)
    ended_by: list[int] = []

    def end(task: asyncio.Task[T], number: int) -> None:
        ended_by.append(number)
        task.cancel()

    async def run() -> T:
        task: asyncio.Task[T] = asyncio.current_task()  # type: ignore[assignment]
        loop = asyncio.get_running_loop()
        numbers = [getattr(signal, name) for name in ("SIGHUP", "SIGTERM") if hasattr(signal, name)]
        for number in numbers:
            with contextlib.suppress(NotImplementedError):  # an event loop of Windows
                loop.add_signal_handler(number, end, task, number)
        engine = await asyncio.to_thread(partial(Engine, options.home, options.profile, readonly=options.readonly))
        try:
            if engine.home.unwritable:
                say(f"note: {engine.home.unwritable}: it is only read")
            return await work(engine)
        finally:
            engine.close()
            for number in numbers:  # a loop that closes with them in place has a moment for signals to fail in
                with contextlib.suppress(NotImplementedError):
                    loop.remove_signal_handler(number)

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        if not ended_by:
            raise
        raise SystemExit(128 + ended_by[0]) from None


def say(text: str) -> None:
    """Narrate, on stderr."""
    print(literal(text), file=sys.stderr, flush=True)


def out(text: str) -> None:
    """Print data, on stdout."""
    print(text, flush=True)


def out_json(value: object) -> None:
    """Print one JSON value, on stdout."""
    out_json_text(escaped(json.dumps(value, indent=2, ensure_ascii=False)))


def out_json_text(text: str) -> None:
    """Print JSON, on stdout; characters that its encoding lacks as JSON's own escapes, and not as their nearest."""
    out(text if is_unicode(sys.stdout) else escape(text))


def in_terminal() -> bool:
    """Tell whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def shows_app() -> bool:
    """Tell whether this terminal can show the app; elsewhere what happens is printed line by line."""
    return terminal.problem() is None


def say_price(price: Price) -> None:
    """Show a price line by line, whose money it is, and what speaks against spending it."""
    for line in price.lines:
        say(f"  {line.contestant:<11} {line.item:<10} {line.detail:<52} ${line.usd:>9.4f}")
    about = "the emulator's: nobody charges it" if price.emulated else f"list prices of {price.as_of}"
    say(f"  about ${price.total:.2f} in all ({about})")
    for caution in price.cautions:
        say(f"warning: {caution}")


async def agreed(usd: float | None, yes: bool) -> None:
    """Go on only if a price that was shown is accepted.

    Raises:
        typer.Exit: with 2, when nobody can be asked, or the answer was no.

    """
    import asyncio

    if yes:
        return
    if not in_terminal():
        say("error: Nothing was started. Add --yes to accept this price.")
        raise typer.Exit(2)
    spend = "Spend an unknown sum?" if usd is None else f"Spend about ${usd:.2f}?"
    if not await asyncio.to_thread(typer.confirm, spend, err=True):
        raise typer.Exit(2)


def progress_line() -> Callable[[str, int, int], None]:
    """Return a callback that narrates (phase, done, total) at each tenth."""
    last: tuple[str, int] | None = None

    def show(phase: str, done: int, total: int) -> None:
        nonlocal last
        step = (phase, done * 10 // total if total else 0)
        if step != last and (step[1] == 10 or last is None or step[0] != last[0] or step[1] > last[1]):
            last = step
            say(f"{phase}: {done:,} of {total:,}")

    return show


async def price_and_start(
    engine: Engine,
    made: Awaitable[tuple[Plan, Price]],
    spec: Any,
    yes: bool,
) -> str:
    """Show the price, ask, check the service, start; return the experiment's name."""
    plan, price = await made
    say_price(price)
    if ahead := price.under(await engine.outcomes.terms()):
        say(ahead)
    for line in await engine.remote.outlook(plan):
        say(f"  {line.contestant:<11} {line.kind:<10} {line.sentence}")
    await agreed(price.total, yes)
    await engine.check(plan)
    with jobs_go_on("dogcls-tui jobs"):
        return await engine.start(spec, plan)


@contextlib.contextmanager
def jobs_go_on(see: str) -> Iterator[None]:
    """Say, when the person or the terminal leaves meanwhile, that the jobs stay."""
    import asyncio

    try:
        yield
    except (asyncio.CancelledError, KeyboardInterrupt):
        with contextlib.suppress(OSError):  # the terminal may be what went away
            say(f"the jobs go on without this terminal; see: {see}")
        raise
