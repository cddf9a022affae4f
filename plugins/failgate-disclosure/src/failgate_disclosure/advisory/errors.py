"""The one error of this room: a value that cannot be published, with its place and the mend."""

from failgate.plugin import FailgateError


class AdvisoryRefused(FailgateError):
    """A field cannot stand in what the desk publishes; `where` names it."""

    slug = "advisory-refused"
    status = 422
    title = "This cannot be published"

    def __init__(self, where: str, sentence: str, *, hint: str | None = None) -> None:
        """Keep `where` (as in `products[0].name`), the sentence and the mend."""
        super().__init__(f"{where}: {sentence}", hint=hint, where=where)
        self.where = where


def shown(text: str, longest: int = 40) -> str:
    """Return at most `longest` characters of `text` in quotes and in printable ASCII, for an error's sentence."""
    cut = text[:longest]
    return ascii(cut) + ("..." if len(text) > longest else "")
