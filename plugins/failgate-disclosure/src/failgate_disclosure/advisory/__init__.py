"""What the desk publishes, and nothing that needs a server: advisories, their scores and forms, and security.txt.

`model.py` says what an advisory is, `cvss.py` scores it, `csaf.py` and `markdown.py` write it for programs and for
people, `security_txt.py` writes and reads RFC 9116. Values are frozen and functions pure: no clock, file or network.
"""

from failgate_disclosure.advisory.csaf import csaf_bytes, csaf_document, csaf_filename
from failgate_disclosure.advisory.cvss import Score, score_of
from failgate_disclosure.advisory.errors import AdvisoryRefused
from failgate_disclosure.advisory.markdown import markdown
from failgate_disclosure.advisory.model import (
    Advisory,
    Credit,
    Moment,
    Product,
    Publisher,
    Reference,
    Remediation,
    Revision,
    VersionRange,
)
from failgate_disclosure.advisory.security_txt import SecurityTxt, parse_security_txt, write_security_txt

__all__ = [
    "Advisory",
    "AdvisoryRefused",
    "Credit",
    "Moment",
    "Product",
    "Publisher",
    "Reference",
    "Remediation",
    "Revision",
    "Score",
    "SecurityTxt",
    "VersionRange",
    "csaf_bytes",
    "csaf_document",
    "csaf_filename",
    "markdown",
    "parse_security_txt",
    "score_of",
    "write_security_txt",
]
