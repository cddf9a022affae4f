"""The operator's verbs, joined: named, with checked arguments.

The command line calls these through the server's control socket while it runs, else over services that it opens itself:
the same verbs, the same audit records. Arguments and answers are JSON objects.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from failgate.administration.backups import Backups
from failgate.administration.doctor import Doctor
from failgate.administration.installation import Installation
from failgate.administration.people import People
from failgate.administration.programs import Programs
from failgate.administration.verb import Answer, Verbs
from failgate.base.errors import BadInput
from failgate.roster import Services


class Administration:
    """The verbs over open services."""

    def __init__(self, services: Services) -> None:
        rooms = (
            People(services), Programs(services), Installation(services), Backups(services), Doctor(services),
        )  # fmt: skip
        self._verbs: Verbs = {name: verb for room in rooms for name, verb in room.table().items()}

    async def run(self, verb: str, arguments: Mapping[str, Any]) -> Answer:
        """Carry out `verb` and return its answer.

        Raises: BadInput for an unknown verb or wrong arguments; whatever the services refuse.
        """
        if verb not in self._verbs:
            raise BadInput(f"There is no administrative verb {verb!r}.", hint="Update failgate on this host.")
        shape, call = self._verbs[verb]
        try:
            struct = msgspec.convert(dict(arguments), shape)
        except msgspec.ValidationError as error:
            raise BadInput(f"{verb}: {error}.") from error
        return await call(struct)
