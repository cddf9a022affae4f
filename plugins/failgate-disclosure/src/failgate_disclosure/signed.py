"""security.txt as somebody signed it elsewhere: served as it is, when it says what the config says.

The key stays where it is; this server never has it. The signature is for whoever reads the file, and not verified here.
Source: RFC 9116 section 2.3; the cleartext signature: RFC 9580 section 7.
"""

from dataclasses import fields
from pathlib import Path

from failgate.plugin import StartRefused
from failgate_disclosure.advisory import AdvisoryRefused, SecurityTxt, parse_security_txt
from failgate_disclosure.advisory.security_txt import LONGEST_BYTES

_MEND = "Take the text of /.well-known/security.txt from a server that runs without `signed`, and sign it anew."


def signed_text(path: Path, wanted: SecurityTxt) -> str:
    """Return the text of the signed file at `path`, whose fields are those of `wanted`.

    Raises: StartRefused (not to be read, not signed, no security.txt, or says something else: naming the field).
    """
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_BYTES + 1)
    except OSError as error:
        raise StartRefused(
            f"signed: {path} cannot be read: {error.strerror}.", hint="Name a file that is there."
        ) from None
    try:
        found = parse_security_txt(content)
    except AdvisoryRefused as refused:
        raise StartRefused(f"signed: {path}: {refused.sentence}", hint=refused.hint or _MEND) from None
    if not found.is_signed:
        raise StartRefused(f"signed: {path} is not signed.", hint="Sign it with gpg --clearsign, or take `signed` out.")
    for each in fields(SecurityTxt):
        theirs, ours = getattr(found, each.name), getattr(wanted, each.name)
        if each.name != "is_signed" and theirs != ours:
            said, due = _words(theirs), _words(ours)
            raise StartRefused(f"signed: {path} says {each.name} {said}, the config {due}.", hint=_MEND)
    return content.decode()


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(each) for each in value) or "nothing"
    return str(value)
