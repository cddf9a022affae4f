"""What the client says to the person or the program that started it: on stderr, each line beginning `failgate: `."""

import os
import sys

_UNSAFE_ABOVE = 0x2000


def inert(text: str) -> str:
    """Return `text` so that no character of it moves, colours or reorders a terminal: such ones show as `<U+XXXX>`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _is_inert(character) else f"<U+{ord(character):04X}>" for character in text)


def _is_inert(character: str) -> bool:
    if character == " ":
        return True
    if not character.isprintable():
        return False
    code = ord(character)
    # Fillers and selectors count as printable, yet show as nothing.
    return code < _UNSAFE_ABOVE or not (0xFE00 <= code <= 0xFE0F or code in (0x3164, 0xFFA0, 0x2800) or code >= 0xE0000)


class Messages:
    """Writes sentences to stderr; with `is_json`, a JSON object a line: `event`, `message` and facts."""

    def __init__(self, *, is_json: bool = False, descriptor: int | None = None) -> None:
        """Look whether stderr is a terminal that can rewrite a line; with `descriptor`, write JSON lines there."""
        self.is_json = is_json = is_json or descriptor is not None
        self._descriptor = descriptor
        self._has_line = False
        self.is_live = not is_json and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def say(self, event: str, message: str, **facts: object) -> None:
        """Write `message` (its text must be inert already) as a line of its own; a closed stderr stops nothing."""
        self.clear()
        if self.is_json:
            import json

            line = json.dumps({"event": event, "message": message, **facts})
        else:
            line = f"failgate: {message}"
        self._write(line + "\n")

    def say_json(self, event: str, **facts: object) -> None:
        """Write an event that only programs want; nothing without `is_json`."""
        if self.is_json:
            self.say(event, event, **facts)

    def show(self, message: str) -> None:
        """Rewrite the live line; nothing when stderr is no terminal."""
        if self.is_live:
            self._write(f"\r\x1b[Kfailgate: {message}")
            self._has_line = True

    def clear(self) -> None:
        """Take the live line away."""
        if self._has_line:
            self._write("\r\x1b[K")
            self._has_line = False

    def is_heard(self) -> bool:
        """Tell whether whoever started us to hear messages on a descriptor of its own is still there."""
        if self._descriptor is None:
            return True
        from select import POLLERR, poll

        place = poll()
        place.register(self._descriptor, 0)
        return not any(found & POLLERR for _, found in place.poll(0))

    def _write(self, text: str) -> None:
        try:
            if self._descriptor is not None:
                os.write(self._descriptor, text.encode())
                return
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):
            pass  # nobody listens; exit codes still speak
