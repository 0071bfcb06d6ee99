"""Workers that end no app: what one of them raises becomes one line, and the app continues."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast, overload

import textual
from textual.dom import DOMNode
from textual.worker import Worker

from engine import described

if TYPE_CHECKING:
    from tui.app import DogclsApp

P = ParamSpec("P")
N = TypeVar("N", bound=DOMNode)
R = TypeVar("R")
Method = Callable[Concatenate[N, P], Coroutine[Any, Any, R]]
Started = Callable[Concatenate[N, P], Worker[R | None]]


@overload
def work(method: Method[N, P, R]) -> Started[N, P, R]: ...


@overload
def work(*, group: str = ..., exclusive: bool = ...) -> Callable[[Method[N, P, R]], Started[N, P, R]]: ...


def work(method: Any = None, *, group: str = "default", exclusive: bool = False) -> Any:
    """Make a coroutine method start a worker, as `textual.work` does, but one whose exceptions are only shown."""

    def decorate(method: Method[N, P, R]) -> Any:
        @wraps(method)
        async def guarded(node: N, *arguments: P.args, **options: P.kwargs) -> R | None:
            try:
                return await method(node, *arguments, **options)
            except Exception as error:
                show(node, error)
                return None

        return textual.work(group=group, exclusive=exclusive, exit_on_error=False)(guarded)

    return decorate if method is None else decorate(method)


def show(node: DOMNode, error: Exception) -> None:
    """Show an exception as one line; nothing where the screen it belongs to has closed meanwhile."""
    desk = cast("DogclsApp", node.app)
    if not desk.leaving and node.is_attached and node.is_running:
        desk.trouble(str(described(error)))
