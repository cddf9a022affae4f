"""An advisory as a CSAF 2.0 document of the profile `csaf_security_advisory`: one advisory, the same bytes always.

CSAF 2.0 has members for CVSS 2 and 3 alone. The vector and score of CVSS 4.0 stand in `aggregate_severity`, in a note
and as the impact of the affected products, where readers of version 2.0 look for words (docs/decisions/0095).
Source: OASIS, Common Security Advisory Framework Version 2.0.
"""

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from failgate_disclosure.advisory.errors import AdvisoryRefused
from failgate_disclosure.advisory.model import Advisory, Credit, Product
from failgate_disclosure.advisory.text import check_url, rfc3339
from failgate_disclosure.advisory.weaknesses import WEAKNESSES

MEDIA_TYPE = "application/json"
CVSS_NAMESPACE = "https://www.first.org/cvss/v4.0/specification-document"
_NOT_IN_A_NAME = re.compile(r"[^+\-a-z0-9]+")


def csaf_filename(tracking_id: str) -> str:
    """Return the one name that a document of this tracking id may have. Source: CSAF 2.0 section 5.1."""
    return _NOT_IN_A_NAME.sub("_", tracking_id.lower()) + ".json"


def csaf_bytes(advisory: Advisory, *, folder_url: str | None = None) -> bytes:
    """Return the document as JSON: members sorted, ASCII, `<`, `>` and `&` escaped too, so that a page may hold it.

    Raises: AdvisoryRefused (as `csaf_document`).
    """
    text = json.dumps(csaf_document(advisory, folder_url=folder_url), indent=2, sort_keys=True, ensure_ascii=True)
    return text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}).encode("ascii") + b"\n"


def csaf_document(advisory: Advisory, *, folder_url: str | None = None) -> dict[str, Any]:
    """Return the document as JSON values; with `folder_url` (https, ends in `/`) it names its canonical address.

    Raises: AdvisoryRefused (a folder that is no https address or has a query).
    """
    tree = _Tree(advisory.products)
    return {
        "document": _document(advisory, folder_url),
        "product_tree": {"branches": tree.branches},
        "vulnerabilities": [_vulnerability(advisory, tree)],
    }


def _document(advisory: Advisory, folder_url: str | None) -> dict[str, Any]:
    publisher = advisory.publisher
    references = [_reference("external", each.summary, each.url) for each in advisory.references]
    if folder_url is not None:
        check_url("folder_url", folder_url, only_https=True)
        if not folder_url.endswith("/") or "?" in folder_url or "#" in folder_url:
            raise AdvisoryRefused("folder_url", "is no folder.", hint="End it with /, without a query.")
        references.insert(0, _reference("self", "Canonical URL", folder_url + csaf_filename(advisory.tracking_id)))
    document: dict[str, Any] = {
        "category": "csaf_security_advisory",
        "csaf_version": "2.0",
        "title": advisory.title,
        "lang": advisory.language,
        "aggregate_severity": {"namespace": CVSS_NAMESPACE, "text": advisory.score.severity},
        "distribution": _distribution(advisory),
        "notes": [_note("summary", "Summary", advisory.summary)],
        "publisher": {"category": publisher.kind, "name": publisher.name, "namespace": publisher.namespace},
        "tracking": _tracking(advisory),
    }
    if publisher.contact is not None:
        document["publisher"]["contact_details"] = publisher.contact
    if references:
        document["references"] = references
    return document


def _distribution(advisory: Advisory) -> dict[str, Any]:
    """Say how far it may go: what is published to all, a draft to those who work on it."""
    if advisory.status != "draft":
        return {"tlp": {"label": "WHITE"}}
    told: dict[str, Any] = {"tlp": {"label": "AMBER"}}
    if advisory.embargo_until is not None:
        told["text"] = f"Not to be published before {rfc3339(advisory.embargo_until)}."
    return told


def _tracking(advisory: Advisory) -> dict[str, Any]:
    history = [
        {"date": rfc3339(revision.at), "number": str(number), "summary": revision.summary}
        for number, revision in enumerate(advisory.revisions, 1)
    ]
    return {
        "id": advisory.tracking_id,
        "status": advisory.status,
        "version": advisory.version,
        "initial_release_date": history[0]["date"],
        "current_release_date": history[-1]["date"],
        "revision_history": history,
        "generator": {"engine": {"name": "failgate-disclosure"}},
    }


def _vulnerability(advisory: Advisory, tree: "_Tree") -> dict[str, Any]:
    score = advisory.score
    said = f"{score.nomenclature} {score.value:.1f} ({score.severity}), {score.vector}"
    notes = [_note("description", "Description", advisory.description), _note("other", "CVSS 4.0", said)]
    if advisory.timeline:
        told = "\n".join(f"{rfc3339(moment.at)}: {moment.what}" for moment in advisory.timeline)
        notes.append(_note("details", "Timeline", told))
    found: dict[str, Any] = {
        "title": advisory.title,
        "notes": notes,
        "product_status": {"known_affected": tree.affected},
        "threats": [{"category": "impact", "details": said, "product_ids": tree.affected}],
    }
    if tree.fixed:
        found["product_status"]["fixed"] = tree.fixed
    if advisory.status != "draft":
        found["release_date"] = rfc3339(advisory.revisions[0].at)
    if advisory.cve is not None:
        found["cve"] = advisory.cve
    if advisory.cwe is not None:
        found["cwe"] = {"id": advisory.cwe, "name": WEAKNESSES[advisory.cwe]}
    if advisory.credits:
        found["acknowledgments"] = [_acknowledgment(credit) for credit in advisory.credits]
    if advisory.remediations:
        found["remediations"] = [
            {"category": each.kind, "details": each.details, "product_ids": tree.affected}
            | ({"url": each.url} if each.url is not None else {})
            for each in advisory.remediations
        ]
    return found


def _acknowledgment(credit: Credit) -> dict[str, Any]:
    thanked: dict[str, Any] = {}
    if credit.name is not None:
        thanked["names"] = [credit.name]
    if credit.organization is not None:
        thanked["organization"] = credit.organization
    if credit.summary is not None:
        thanked["summary"] = credit.summary
    if credit.url is not None:
        thanked["urls"] = [credit.url]
    return thanked


def _note(category: str, title: str, text: str) -> dict[str, Any]:
    return {"category": category, "title": title, "text": text}


def _reference(category: str, summary: str, url: str) -> dict[str, Any]:
    return {"category": category, "summary": summary, "url": url}


class _Tree:
    """The products as branches vendor, product, version or range; ids count from 1 in the order of the advisory."""

    def __init__(self, products: Sequence[Product]) -> None:
        self.affected: list[str] = []
        self.fixed: list[str] = []
        vendors: dict[str, list[dict[str, Any]]] = {}
        for product in products:
            versions = [self._affected(product, spread.vers(product.scheme)) for spread in product.affected]
            versions += [self._fixed(product, version) for version in product.fixed]
            vendors.setdefault(product.vendor, []).append(
                {"category": "product_name", "name": product.name, "branches": versions}
            )
        self.branches = [
            {"category": "vendor", "name": vendor, "branches": branches} for vendor, branches in vendors.items()
        ]

    def _affected(self, product: Product, spread: str) -> dict[str, Any]:
        leaf = self._leaf(product, "product_version_range", spread, product.purl)
        self.affected.append(leaf["product"]["product_id"])
        return leaf

    def _fixed(self, product: Product, version: str) -> dict[str, Any]:
        purl = None if product.purl is None else f"{product.purl}@{quote(version, safe='')}"
        leaf = self._leaf(product, "product_version", version, purl)
        self.fixed.append(leaf["product"]["product_id"])
        return leaf

    def _leaf(self, product: Product, category: str, name: str, purl: str | None) -> dict[str, Any]:
        number = len(self.affected) + len(self.fixed) + 1
        whole: dict[str, Any] = {
            "name": f"{product.vendor} {product.name} {name}",
            "product_id": f"CSAFPID-{number:04d}",
        }
        if purl is not None:
            whole["product_identification_helper"] = {"purl": purl}
        return {"category": category, "name": name, "product": whole}
