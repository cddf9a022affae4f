"""Secrets in an argument vector, where an option and its value are two tokens."""

from collections.abc import Sequence

from failgate.redaction.environment import is_sensitive_name
from failgate.redaction.scanner import Finding, Scanner, redact


def redact_arguments(argv: Sequence[str], scanner: Scanner) -> tuple[list[str], list[Finding]]:
    """Return `argv` without secrets, token by token and as one line; each finding's offsets lie within its own token.

    The token after `--password`, `--api-key` and the like is replaced whole. `" ".join` of the result holds no finding.
    """
    clean: list[str] = []
    findings: list[Finding] = []
    follows_option = False
    for token in argv:
        if follows_option and token and not token.startswith("-"):
            found = Finding("flag", 0, len(token), scanner.tag("flag", token.encode("utf-8", "surrogatepass")))
            clean.append(found.tag)
            findings.append(found)
        else:
            result = redact(token, scanner)
            clean.append(result.text)
            findings += result.findings
        follows_option = token.startswith("--") and "=" not in token and _names_a_secret(token)
    return _clean_together(clean, findings, scanner)


def _clean_together(argv: list[str], findings: list[Finding], scanner: Scanner) -> tuple[list[str], list[Finding]]:
    """Replace what only the tokens together show, as in `curl -u user:password`."""
    together = redact(" ".join(argv), scanner).findings
    if not together:
        return argv, findings
    clean: list[str] = []
    at = 0
    for token in argv:
        pieces: list[str] = []
        done = 0
        for one in together:
            start, end = max(one.start - at, done), min(one.end - at, len(token))
            if start < end:
                pieces += [token[done:start], one.tag]
                findings.append(one._replace(start=start, end=end))
                done = end
        clean.append("".join([*pieces, token[done:]]))
        at += len(token) + 1
    return clean, findings


def _names_a_secret(option: str) -> bool:
    name = option.lstrip("-")
    return is_sensitive_name(name) and not name.endswith("-stdin")
