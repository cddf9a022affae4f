"""What an operator says about their own disclosure of vulnerabilities."""

import re
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Final

import msgspec

from failgate.plugin import Between, Duration, SettingRefused, Size
from failgate_disclosure.advisory import AdvisoryRefused, Publisher, SecurityTxt

_URI: Final = re.compile(r"(?:https://[!-~]+|mailto:[!-~]+@[!-~]+|tel:\+[0-9-]{3,20})", re.ASCII)
_ORIGIN: Final = re.compile(r"https://[a-z0-9.-]+(?::[0-9]{1,5})?", re.ASCII)
_SAYS: Final = {
    "Contact": ("contacts", "say https://…, mailto:… or tel:+…, without spaces"),
    "Encryption": ("encryption", "say where the key is: https://…, dns:… or openpgp4fpr:…"),
    "Acknowledgments": ("acknowledgments", "say https://…"),
    "Preferred-Languages": ("languages", 'say tags of languages: ["en", "de"]'),
}

OUT_OF_SCOPE: Final = (
    "Denial of service by volume, and automated scans that slow the service down for others.",
    "Social engineering, phishing, and physical access to offices or devices.",
    "Missing headers, version banners and similar findings without a way to use them.",
    "Self-inflicted cross-site scripting, and clickjacking on pages that change nothing.",
    "Vulnerabilities of other people's software that is not shipped with ours: report those there.",
)
SAFE_HARBOUR: Final = (
    "Research that keeps to this policy is authorized. We will not pursue or support legal action about it, and will "
    "say so if somebody else does. Use only accounts and data of your own, stop at the first proof, keep what you "
    "found to yourself until it is mended, and delete what you received."
)


class DisclosureSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`contacts` are URIs, the best first; `expires` is the day on which security.txt ends; `changed` is of the policy.

    `url` is the address of this server, which Canonical and Policy are made of, and under which advisories are
    published by `publisher`, the host of `url` when it is not named; `signed` a file of security.txt that somebody
    signed. With `form` reports are taken: in an hour `per_address` from one address and `per_hour` from all; with each
    form, and each message, `files` files that hold `files_size` together, and `files_storage` in all.
    """

    contacts: tuple[str, ...]
    expires: date
    changed: date
    url: str | None = None
    signed: Path | None = None
    publisher: str | None = None
    warn_before: Annotated[Duration, Between("1d", "366d")] = Duration("30d")
    languages: tuple[str, ...] = ("en",)
    encryption: tuple[str, ...] = ()
    acknowledgments: str | None = None
    support: str | None = None
    scope: tuple[str, ...] = ()
    out_of_scope: tuple[str, ...] = OUT_OF_SCOPE
    safe_harbour: str = SAFE_HARBOUR
    form: bool = True
    per_address: Annotated[int, Between(1, 1000)] = 5
    per_hour: Annotated[int, Between(1, 10_000)] = 60
    files: Annotated[int, Between(0, 20)] = 5
    files_size: Annotated[Size, Between("1KiB", "16MiB")] = Size("8MiB")
    files_storage: Annotated[Size, Between("1MiB", "1TiB")] = Size("1GiB")

    def __post_init__(self) -> None:
        """Refuse what RFC 9116 does not take. Raises: SettingRefused."""
        if not self.contacts:
            raise SettingRefused("contacts", 'name at least one: ["mailto:security@acme.example"]')
        for key, value, pattern, hint in (
            ("support", self.support, _URI, "say https://…, mailto:… or tel:+…"),
            ("url", self.url, _ORIGIN, "say the address of this server, https://NAME, without a path"),
        ):
            if value is not None and not (len(value) <= 500 and pattern.fullmatch(value)):
                raise SettingRefused(key, hint)
        try:
            self.publishes_as()
        except AdvisoryRefused:
            raise SettingRefused("publisher", "say a name in 1 to 300 characters on one line") from None
        try:
            self.security_txt(takes_reports=self.form)
        except AdvisoryRefused as refused:
            raise SettingRefused(*_SAYS.get(refused.where, ("url", "say the address of this server"))) from None
        for key, texts in (("scope", self.scope), ("out_of_scope", self.out_of_scope)):
            if any(not 1 <= len(text) <= 500 or not text.isprintable() for text in texts):
                raise SettingRefused(key, "say each in 1 to 500 characters on one line")
        if not 1 <= len(self.safe_harbour) <= 4000:
            raise SettingRefused("safe_harbour", "say it in 1 to 4000 characters")

    def publishes_as(self) -> Publisher | None:
        """Return who publishes advisories, with the first of the contacts; None where `url` is not known.

        Raises: AdvisoryRefused (a name that cannot be published).
        """
        if self.url is None:
            return None
        contact = self.contacts[0].removeprefix("mailto:").removeprefix("tel:")
        return Publisher(self.publisher or self.url.removeprefix("https://"), self.url, contact=contact[:300])

    def security_txt(self, *, takes_reports: bool) -> SecurityTxt:
        """Return the fields of security.txt, which ends as the day `expires` begins, in UTC.

        `takes_reports` adds the form of this server as a contact, where its address is known, before the others.

        Raises: AdvisoryRefused (what RFC 9116 does not take).
        """
        has_form = self.url is not None and takes_reports
        return SecurityTxt(
            contact=(*((f"{self.url}/security/report",) if has_form else ()), *self.contacts),
            expires=datetime.combine(self.expires, time(), UTC),
            canonical=() if self.url is None else (f"{self.url}/.well-known/security.txt",),
            policy=() if self.url is None else (f"{self.url}/security",),
            encryption=self.encryption,
            acknowledgments=() if self.acknowledgments is None else (self.acknowledgments,),
            preferred_languages=self.languages,
        )
