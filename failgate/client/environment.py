"""What a report says about the machine: names of variables, values of harmless ones, versions."""

import os
import platform
import sys
from collections.abc import Collection, Mapping

from failgate.redaction import Scanner, redact
from failgate.wire.reports import EnvironmentSummary

HARMLESS = frozenset(
    (  # noqa: SIM905  # a word a line hides the list
        "LANG LANGUAGE TERM COLORTERM SHELL TZ CI GITHUB_ACTIONS GITLAB_CI BUILDKITE VIRTUAL_ENV "
        "CONDA_DEFAULT_ENV NODE_ENV RUNNER_OS RUNNER_ARCH PYTHONHASHSEED PYTHONDONTWRITEBYTECODE "
        "PYTHONUNBUFFERED SOURCE_DATE_EPOCH NO_COLOR FORCE_COLOR DEBIAN_FRONTEND"
    ).split()
)
_MOST_NAMES = 2000
_LONGEST_VALUE = 1000


def summarize(
    environment: Mapping[str, str], scanner: Scanner, more: Collection[str] = ()
) -> tuple[EnvironmentSummary, list[str]]:
    """Return the summary, redacted, and the rules that found something in it (once for each find).

    Values are those of the names in `HARMLESS`, of `LC_*` and of the names in `more`.
    """
    found: list[str] = []

    def clean(text: str, before: str = "") -> str:
        result = redact(before + _text(text), scanner)
        found.extend(finding.rule for finding in result.findings)
        return result.text.removeprefix(before)

    names = sorted(clean(name) for name in environment)[:_MOST_NAMES]
    values = {
        name: clean(value[:_LONGEST_VALUE], f"{name}=")
        for name, value in sorted(environment.items())
        if name in HARMLESS or name.startswith("LC_") or name in more
    }
    version = sys.version_info
    summary = EnvironmentSummary(
        names=names,
        values=values,
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{version.major}.{version.minor}.{version.micro}",
    )
    return summary, found


def _text(value: str) -> str:
    return os.fsencode(value).decode("utf-8", "replace")
