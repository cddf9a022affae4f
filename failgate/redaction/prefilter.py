"""Which rules can find anything at which places of a text, all at once: what rules out most of a text without Python.

It only rules out: what it points at is searched by the rules themselves, so findings are the same with every engine and
without one. Engines take a moment to load, so a small text is searched without; `Engines.after` decides by the amount.
"""

import threading
from functools import cache
from typing import NamedTuple, Protocol

from failgate.redaction.rules import Rule

PATIENCE_BYTES = 256 * 1024
"""As much text as can be searched without RE2 in the time that it takes to load."""
FAST_PATIENCE_BYTES = 24 * 1024 * 1024
"""As much text as RE2 searches in the time that Hyperscan takes to compile the rules, beside other work."""
STAYING_PATIENCE_BYTES = 4 * 1024 * 1024
"""The same where the process stays, as a server does: there the time that is saved has no end."""
ENGINES = ("hyperscan", "re2", "re")
"""From the fastest to what is always there."""


class Possible(NamedTuple):
    """The rules (by their numbers) that may find something that starts in `start`..`end`; all others do not."""

    start: int
    end: int
    rules: tuple[int, ...]


def says_itself(rule: Rule) -> bool:
    """Tell whether what `rule` finds says by its own form that it is a secret, without a name beside it."""
    return rule.group == 0


class Prefilter(Protocol):
    """An engine with the openings of some rules. It may be asked from several threads."""

    @property
    def name(self) -> str:
        """Return one of `ENGINES`."""
        ...

    def possible(self, content: bytes) -> list[Possible]:
        """Return all places of `content` where a rule may find something; for each rule they ascend."""
        ...

    def tokens(self, content: bytes) -> list[Possible]:
        """Return the same for the rules alone whose secret is the whole match (see `says_itself`): it is quicker."""
        ...


class Engines:
    """The engines of one set of rules, each made once for the whole process: `engines_of` returns them."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        """Keep the rules."""
        self._rules = rules
        self._loading, self._compiling = threading.Lock(), threading.Lock()
        self._automata: Prefilter | None = None
        self._fast: Prefilter | None = None
        self._is_begun = False
        self._bytes = 0
        self._stays = False

    def stay(self) -> None:
        """Learn that this process stays: Hyperscan is worth its compilation sooner."""
        self._stays = True

    def after(self, size: int) -> Prefilter | None:
        """Return the best engine for the next `size` bytes; None where neither is installed."""
        if self._fast is not None:
            return self._fast
        self._bytes += size
        patience = STAYING_PATIENCE_BYTES if self._stays else FAST_PATIENCE_BYTES
        if self._bytes > patience and not self._is_begun:
            self._begin()
        return self.automata()

    def automata(self) -> Prefilter | None:
        """Return RE2, or None where it is not installed."""
        with self._loading:
            if self._automata is None:
                try:
                    from failgate.redaction.automata import Automata  # here: loading RE2 takes a client's whole time

                    self._automata = Automata(self._rules)
                except ImportError:
                    return None
        return self._automata

    def fast(self) -> Prefilter | None:
        """Return Hyperscan, compiled now if need be, or None where it is not installed."""
        with self._compiling:
            self._is_begun = True
            if self._fast is None:
                try:
                    from failgate.redaction.vectors import Vectors

                    self._fast = Vectors(self._rules)
                except ImportError:
                    return None
        return self._fast

    def named(self, name: str) -> Prefilter | None:
        """Return the engine `name` of `ENGINES`, ready; None where it is not installed, and for `re`, which is none."""
        return self.fast() if name == "hyperscan" else self.automata() if name == "re2" else None

    def _begin(self) -> None:
        """Compile in a thread, if it is installed: the compiler does not hold the interpreter's lock."""
        from importlib.util import find_spec

        self._is_begun = True
        if find_spec("hyperscan") is not None:
            threading.Thread(target=self.fast, name="redaction-engine").start()


@cache
def engines_of(rules: tuple[Rule, ...]) -> Engines:
    """Return the engines of `rules`; ask once and keep them: to find them again all rules are hashed."""
    return Engines(rules)


def installed_engines() -> tuple[str, ...]:
    """Return the `ENGINES` that are installed, the fastest first; nothing is loaded."""
    from importlib.util import find_spec

    return tuple(name for name in ENGINES if find_spec(name) is not None)
