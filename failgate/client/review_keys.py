"""A review led by keys at the terminal: look at each artifact, leave some out, replace words, then agree or not.

One key, a number or a word, then Enter: it works over any line, and with a screen reader.
"""

import sys
from typing import Literal, NamedTuple

from failgate.base.errors import BadInput
from failgate.client.report_folder import LocalReport
from failgate.client.review import overview
from failgate.client.reviewing import Review

End = Literal["upload", "keep", "quit"]
_HELP = (
    "NUMBER look at it   x NUMBER leave out or take in   r WORDS replace words everywhere   p RE2 replace a pattern\n"
    "z take the last step back   s save   u save, then ask for the upload   q quit, nothing is changed"
)


class Reviewed(NamedTuple):
    """The report after its review, and what the person wants of it."""

    report: LocalReport
    end: End


def lead(review: Review) -> Reviewed:
    """Ask until the person decides.

    Raises: BadInput, Unprocessable (the folder was changed), OSError.
    """
    _say(*overview(review.report), "")
    while True:
        _say(*review.lines(), _HELP)
        sys.stderr.write("review> ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        verb, _, rest = line.strip().partition(" ")
        try:
            if verb in {"u", "s"}:
                return Reviewed(review.finish(), "upload" if verb == "u" else "keep")
            if verb == "q" or not line:
                return Reviewed(review.report, "quit")
            _step(review, verb, rest.strip())
        except BadInput as error:
            _say(f"failgate: {error}")


def _step(review: Review, verb: str, rest: str) -> None:
    if verb.isdigit():
        artifact = review.artifact(verb)
        _say(*review.preview(artifact), "")
        review.see(artifact)
    elif verb == "x" and rest:
        name = review.artifact(rest).name
        (review.take_in if name in review.changes.left_out else review.leave_out)(name)
    elif verb == "r" and rest:
        review.replace([rest])
    elif verb == "p" and rest:
        review.replace(patterns=[rest])
    elif verb == "z" and not rest:
        review.undo()
    elif verb in {"", "?"}:
        return  # the keys are said before each question
    else:
        raise BadInput("That is none of the keys.", hint="Write one of those below, then press Enter.")


def _say(*lines: str) -> None:
    sys.stderr.write("".join(f"{line}\n" for line in lines))
