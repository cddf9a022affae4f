"""Pages of a list, by their numbers. Pure."""

import re
from typing import Final

from failgate.plugin import Asked, NotFound

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)


def page_in(asked: Asked) -> int:
    """Return the number of the page that is asked for, 1 where the path names none. Raises: NotFound."""
    written = asked.path.get("number", "1")
    if not _NUMBER.fullmatch(written):
        raise NotFound("There is no such page.")
    return int(written)


def beside(place: str, number: int, *, has_more: bool) -> tuple[str, str]:
    """Return the addresses of the pages before and after page `number` of `place`; empty where there is none."""
    before = "" if number == 1 else place if number == 2 else f"{place}/page/{number - 1}"
    return before, f"{place}/page/{number + 1}" if has_more else ""
