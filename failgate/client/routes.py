"""How the output of a program gets to us: pipes, or pseudo-terminals in place of terminals."""

from __future__ import annotations

import os

from failgate.base.quick import NamedTuple

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

    from failgate.client.output import Output

    Way: TypeAlias = Literal["auto", "terminal", "pipes", "shared"]
    """`auto`: a terminal where ours is one, else pipes; `shared`: the same, never with a session of its own."""
else:
    Way = str


class Route(NamedTuple):
    """Output on its way: what we read, where it goes, which of the program's descriptors write it."""

    source: int
    target: int
    writer: int
    serves: tuple[int, ...]
    is_terminal: bool


def screen_for(way: Way) -> Any:
    """Return the user's terminal when the program is to have one of its own in front of it, else None."""
    if way not in ("auto", "terminal") or not (os.isatty(0) and os.isatty(1)):
        return None
    from failgate.client.terminal import Screen

    screen = Screen(0)
    return screen if screen.is_ours else None


def open_routes(way: Way, screen: Any, output: Output) -> list[Route]:
    """Return how stdout and stderr are captured; where both are the same file, they share a route, in order."""
    if _same_file(1, 2) or (way == "terminal" and os.isatty(2)):
        routes = [_route(1, (1, 2), way, screen)]
    else:
        routes = [_route(1, (1,), way, screen), _route(2, (2,), way, None)]
    if screen is not None:
        routes[0] = routes[0]._replace(serves=(0, *routes[0].serves))
    if routes[0].is_terminal:
        from failgate.client.terminal import default_size, size_of

        output.is_terminal = screen is not None
        output.size = size_of(1, 2, 0) or default_size(os.environ)
    return routes


def _route(target: int, serves: tuple[int, ...], way: Way, screen: Any) -> Route:
    if way == "pipes" or not (way == "terminal" or os.isatty(target)):
        source, writer = os.pipe2(os.O_CLOEXEC)
        return Route(source, target, writer, serves, is_terminal=False)
    from failgate.client.terminal import default_size, open_pseudo_terminal, size_of

    size = size_of(target, 1, 2, 0) or default_size(os.environ)
    source, writer = open_pseudo_terminal(size, modes=screen.saved if screen is not None else None)
    return Route(source, target, writer, serves, is_terminal=True)


def _same_file(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False
