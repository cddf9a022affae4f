"""Config mistakes: where each one stands, what is wrong, what is accepted; and the refusal that lists all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from failgate.base.errors import StartRefused


class SettingRefused(ValueError):
    """A setting cannot be used together with the others; raised in the `__post_init__` of a settings struct.

    `key` is the setting's own name inside its section; `sentence` says what is wrong and what is accepted.
    """

    def __init__(self, key: str, sentence: str) -> None:
        """Keep which setting it is and what is wrong with it."""
        super().__init__(f"{key}: {sentence}")
        self.key = key
        self.sentence = sentence


def check_together(settings: object, one: str, other: str) -> None:
    """Return when both of the optional settings `one` and `other` of a section stand there, or neither.

    Raises: SettingRefused, naming the one that is missing.
    """
    has_one, has_other = getattr(settings, one) is not None, getattr(settings, other) is not None
    if has_one != has_other:
        raise SettingRefused(other if has_one else one, f"{one} and {other} are set together")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing in a config file that cannot be used.

    `line` counts from 1, 0 when the mistake has no line of its own; `path` is the dotted key, empty for syntax.
    `excerpt` is the line as it may be shown (secrets masked); carets stand under `width` cells from `column` (0-based).
    """

    file: str
    line: int
    path: str
    sentence: str
    excerpt: str = ""
    column: int = 0
    width: int = 0
    hint: str = ""

    def __str__(self) -> str:
        """Return the mistake as people read it: position and sentence, the line, the caret, the mend."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        head = ": ".join(part for part in (where, self.path, self.sentence) if part)
        lines = [head]
        if self.excerpt:
            lines += [f"    {self.excerpt}", f"    {' ' * self.column}{'^' * max(self.width, 1)}"]
        return "\n".join([*lines, *([f"  {self.hint}"] if self.hint else [])])


class ConfigRefused(StartRefused):
    """The config file cannot be used; `mistakes` lists everything that is wrong with it, in the order of the file."""

    slug = "config-refused"
    title = "The configuration cannot be used"
    exit_code = 2

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        """Keep the mistakes, those with the smallest line first."""
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: (mistake.file, mistake.line, mistake.column)))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))
