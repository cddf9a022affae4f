"""What a terminal would have been told to show, as plain text: escape sequences and control characters are left out."""

import codecs
import re

# ECMA-48 section 5: CSI, the strings (OSC, DCS, SOS, PM, APC) up to their end, other escapes; C1 in 8-bit form too.
_ESCAPES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\x18\x1a]*(?:\x07|\x9c|\x18|\x1a|\x1b\\\\|(?=\x1b))"
    "|\x1b(?:[ -/]+[0-~]|[0-OQ-WYZ\\\\`-~])"
    "|\x1b(?=[^ -~])"
)
_BEGUN = re.compile(
    "(?:(?:\x1b\\[|\x9b)[0-?]*[ -/]*"
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\x18\x1a]*\x1b?|\x1b[ -/]*)\\Z"
)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LONGEST_ESCAPE = 64 * 1024


class PlainText:
    """Takes bytes in chunks, gives plain UTF-8. Lines end in LF; a carriage return that rewrites a line ends one.

    A string that does not end within 64 Ki characters (a picture, a broken program) is taken as text from there on,
    so that no output can be hidden behind a beginning without end.
    """

    def __init__(self) -> None:
        """Start."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, chunk: bytes) -> bytes:
        """Take `chunk`; return what is certain."""
        return self._let_go(self._decoder.decode(chunk), is_last=False)

    def finish(self) -> bytes:
        """Return the rest, and be ready for another text."""
        text = self._let_go(self._decoder.decode(b"", final=True), is_last=True)
        self._decoder.reset()
        return text

    def _let_go(self, text: str, *, is_last: bool) -> bytes:
        text = self._held + text
        self._held = ""
        if not text.isascii() or not text.isprintable():
            if not is_last:
                text = self._hold(text)
            if self._held:  # with what introduces it: that ends a string, and an escape that is none
                text = _ESCAPES.sub("", text + self._held[0])[:-1]
            else:
                text = _ESCAPES.sub("", text)
            if text.endswith("\r") and not is_last:  # what follows may make it the end of a line
                text, self._held = text[:-1], f"\r{self._held}"
            text = _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
        return text.encode()

    def _hold(self, text: str) -> str:
        """Keep back what may be the beginning of an escape sequence; return the rest.

        Before any sequence is taken out: what stood before one and what stood behind it never make another.
        """
        begun = _BEGUN.search(text, _last_introducer(text)) if "\x1b" in text or not text.isascii() else None
        end = len(text)
        if begun is not None and end - begun.start() <= _LONGEST_ESCAPE:
            end = begun.start()
        self._held = text[end:]
        return text[:end]


def _last_introducer(text: str) -> int:
    """Return where the last sequence may begin, so that no search runs over the whole text again."""
    return max(0, len(text) - _LONGEST_ESCAPE - 2)
