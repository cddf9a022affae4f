"""What a secret looks like: the rules as values. They are matched in `scanner.py`; `catalogue.py` lists all of them.

A rule is anchored: its pattern is tried only where one of its keywords stands, so the cost of a text is the number of
keywords in it times a bounded pattern. A pattern has no nested quantifier and no unbounded one (a test measures both).
"""

from typing import NamedTuple

from failgate.redaction.judgement import Judge, not_a_placeholder


class Rule(NamedTuple):
    """One kind of secret.

    `keywords` are lower-case ASCII and are found without regard to case; `pattern` (over bytes) is matched exactly
    where a keyword stands; `group` is the part that is replaced; `entropy` is the least Shannon entropy of that part
    in bits a character (0 = any). With `is_bounded`, no letter or digit may stand right before the keyword. `judge`
    has the last word over (name, secret). `leading` (characters, at most how many) says what right before the keyword
    belongs to the secret. `matches` are texts in which the rule finds something, `rejects` texts in which it does
    not.
    """

    id: str
    description: str
    keywords: tuple[str, ...]
    pattern: str
    matches: tuple[str, ...]
    rejects: tuple[str, ...] = ()
    group: int = 0
    entropy: float = 0.0
    is_bounded: bool = True
    judge: Judge = not_a_placeholder
    leading: tuple[str, int] = ("", 0)
