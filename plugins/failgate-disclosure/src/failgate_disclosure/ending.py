"""What the operator should know of security.txt: it ends. Pure.

Source: RFC 9116 section 2.5.5.
"""

from datetime import UTC, datetime, timedelta

from failgate_disclosure.settings import DisclosureSettings


def advice_on(settings: DisclosureSettings, now_us: int) -> list[str]:
    """Return what the operator should know of the file at `now_us`: that it ends soon, has ended, lives too long."""
    now = datetime.fromtimestamp(now_us // 1_000_000, UTC)
    left = settings.security_txt(takes_reports=False).expires - now
    mend = "Look at the contacts once more and set a later `expires`."
    if left <= timedelta(0):
        return [f"security.txt expired on {settings.expires}: nobody has to believe it. {mend}"]
    if left.total_seconds() <= settings.warn_before.seconds:
        return [f"security.txt expires in {max(1, left.days)} days, on {settings.expires}. {mend}"]
    if left > timedelta(days=366):  # RFC 9116 section 2.5.5 recommends less than a year
        return [f"security.txt expires on {settings.expires}, more than a year ahead: set `expires` within a year."]
    return []
