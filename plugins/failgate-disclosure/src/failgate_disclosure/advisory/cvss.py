"""CVSS 4.0: from a vector to its score and severity, by the library `cvss`, behind checks that say what is wrong.

The library reads metrics in any order and in one error for all faults; the standard fixes the order, and a desk has to
show which metric is wrong. So the vector is checked here first, and only the arithmetic is the library's.
Source: FIRST, CVSS v4.0 specification document, sections 6, 7 and 8.
"""

from dataclasses import dataclass
from typing import Literal

from cvss import CVSS4

from failgate_disclosure.advisory.errors import AdvisoryRefused, shown

Severity = Literal["None", "Low", "Medium", "High", "Critical"]
Nomenclature = Literal["CVSS-B", "CVSS-BT", "CVSS-BE", "CVSS-BTE"]

PREFIX = "CVSS:4.0"
_BASE = {
    "AV": "N A L P",
    "AC": "L H",
    "AT": "N P",
    "PR": "N L H",
    "UI": "N P A",
    **dict.fromkeys(("VC", "VI", "VA", "SC", "SI", "SA"), "H L N"),
}
_THREAT = {"E": "X A P U"}
_ENVIRONMENTAL = {
    **dict.fromkeys(("CR", "IR", "AR"), "X H M L"),
    **{f"M{name}": f"X {values}" for name, values in _BASE.items() if name not in {"SI", "SA"}},
    **dict.fromkeys(("MSI", "MSA"), "X S H L N"),
}
_SUPPLEMENTAL = {
    "S": "X N P",
    "AU": "X N Y",
    "R": "X A U I",
    "V": "X D C",
    "RE": "X L M H",
    "U": "X Clear Green Amber Red",
}
# The order of the standard's table 23; a vector in another order is not a valid one.
METRICS: dict[str, tuple[str, ...]] = {
    name: tuple(values.split()) for name, values in {**_BASE, **_THREAT, **_ENVIRONMENTAL, **_SUPPLEMENTAL}.items()
}
_ORDER = {name: place for place, name in enumerate(METRICS)}
_LONGEST = len(PREFIX) + sum(2 + len(name) + max(map(len, values)) for name, values in METRICS.items())


@dataclass(frozen=True, slots=True)
class Score:
    """What a vector comes to: `value` from 0.0 to 10.0 with one decimal, and which groups of metrics it counts."""

    vector: str
    value: float
    severity: Severity
    nomenclature: Nomenclature


def score_of(vector: str, *, where: str = "cvss") -> Score:
    """Return the score of a CVSS 4.0 vector; metrics that are `X` count as not written.

    Raises: AdvisoryRefused (another version; a metric that is unknown, twice, missing or out of order; a wrong value).
    """
    metrics = _metrics(vector, where)
    found = CVSS4(vector).base_score  # the library's name for the score of all groups
    assert found is not None
    value = float(found)
    defined = {name for name, chosen in metrics.items() if chosen != "X"}
    threat, environment = not defined.isdisjoint(_THREAT), not defined.isdisjoint(_ENVIRONMENTAL)
    return Score(vector, value, _severity(value), _NAMES[threat, environment])


_NAMES: dict[tuple[bool, bool], Nomenclature] = {
    (False, False): "CVSS-B",
    (True, False): "CVSS-BT",
    (False, True): "CVSS-BE",
    (True, True): "CVSS-BTE",
}


def _severity(value: float) -> Severity:
    """Return the word of the standard's section 6 for `value`."""
    if value == 0.0:
        return "None"
    if value < 4.0:
        return "Low"
    if value < 7.0:
        return "Medium"
    return "High" if value < 9.0 else "Critical"


def _metrics(vector: str, where: str) -> dict[str, str]:
    if len(vector) > _LONGEST:
        raise AdvisoryRefused(where, f"has {len(vector)} characters; a whole vector has {_LONGEST} at most.")
    prefix, _, rest = vector.partition("/")
    if prefix != PREFIX or not rest:
        raise AdvisoryRefused(
            where, f"{shown(vector)} does not begin with {PREFIX}/.", hint="Scores of other versions are not taken."
        )
    metrics: dict[str, str] = {}
    last = ""
    for part in rest.split("/"):
        name, _, value = part.partition(":")
        if name not in METRICS:
            raise AdvisoryRefused(
                where, f"{shown(part)} names no metric of CVSS 4.0.", hint=f"They are {', '.join(METRICS)}."
            )
        if name in metrics:
            raise AdvisoryRefused(where, f"the metric {name} stands twice.", hint="Leave one of them.")
        if value not in METRICS[name]:
            raise AdvisoryRefused(
                where, f"the metric {name} does not take {shown(value)}.", hint=f"It takes {', '.join(METRICS[name])}."
            )
        if last and _ORDER[name] < _ORDER[last]:
            raise AdvisoryRefused(
                where, f"the metric {name} stands after {last}.", hint=f"The order is {', '.join(METRICS)}."
            )
        metrics[name] = value
        last = name
    missing = [name for name in _BASE if name not in metrics]
    if missing:
        raise AdvisoryRefused(
            where, f"the metrics {', '.join(missing)} are missing.", hint="All base metrics are needed."
        )
    return metrics
