"""Version 1 of the manifest, read strictly. Limits and names are the core's to check; here it is what is written."""

import re
import shlex
import signal
from typing import Any

import msgspec

from failgate.plugin import Manifest, Unprocessable

TITLE_CHARACTERS = 200
_PLACE = re.compile(r"(?P<sentence>.*) - at `(?:key in )?\$\.?(?P<place>.*)`", re.DOTALL)


class CaptureFormat:
    """A `ReportFormat` for what `failgate capture` writes."""

    name = "failgate"

    def read(self, document: dict[str, Any]) -> Manifest:
        """Return the manifest that `document` is.

        Raises: Unprocessable, naming the member and the mend.
        """
        version = document.get("v")
        if isinstance(version, bool) or version != 1:
            raise Unprocessable(
                "The manifest's version is not 1, the one that this server reads.",
                hint="Capture with a client of this server's version.",
                member="v",
            )
        try:
            return msgspec.convert(document, Manifest, strict=True)
        except msgspec.ValidationError as error:
            raise _refusal(str(error)) from error
        except UnicodeEncodeError as error:
            raise _refusal("Lone surrogate, which is no character") from error

    def title(self, manifest: Manifest) -> str:
        """Return the manifest's own title, or the command and how it ended, in at most 200 characters."""
        if manifest.title and (own := " ".join(manifest.title.split())):
            return own[:TITLE_CHARACTERS]
        ending = f" · {_ending(manifest)}"
        command = " ".join(shlex.join(manifest.argv).split())
        room = TITLE_CHARACTERS - len(ending)
        return (command if len(command) <= room else f"{command[: room - 1]}…") + ending


def _ending(manifest: Manifest) -> str:
    if manifest.signal is None:
        return f"exit {manifest.exit_code}"
    try:
        return signal.Signals(manifest.signal).name
    except ValueError:
        return f"signal {manifest.signal}"


def _refusal(text: str) -> Unprocessable:
    match = _PLACE.fullmatch(text)
    sentence, place = (match["sentence"], match["place"]) if match else (text, "")
    where = f"manifest.{place}" if place else "The manifest"
    return Unprocessable(
        f"{where} cannot be read: {sentence[:1].lower()}{sentence[1:]}.",
        hint="A manifest of version 1 has exactly the members that the API's description lists.",
        member=place,
    )
