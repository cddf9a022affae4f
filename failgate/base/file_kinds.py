"""Whether a file is what its name and its media type say: by the first bytes that its kind begins with. Pure.

A name ends in the kind that a program will take the file for, so an ending of a known kind has to stand before bytes
of that kind, and an ending of text before bytes of none of them. An ending that is not listed promises nothing: such a
file may hold anything, and is served as bytes and never shown.

Source: ASVS 5.0 5.2.2. The signatures are those that the formats' own specifications fix.
"""

from collections.abc import Callable
from typing import Final

SNIFFED_BYTES: Final = 1024  # what has to be known of a file
ANY: Final = "application/octet-stream"
ENDING: Final = ".bin"  # of a file whose own ending promises something else

_Matcher = Callable[[bytes], bool]


def _at(offset: int, *signatures: bytes) -> _Matcher:
    return lambda head: any(head.startswith(each, offset) for each in signatures)


def _riff(form: bytes) -> _Matcher:
    return lambda head: head[:4] == b"RIFF" and head[8:12] == form


def _is_program(head: bytes) -> bool:
    return head[:2] == b"MZ" and b"\x00" in head[:64]


_ZIP: Final = _at(0, b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_MEDIA: Final = _at(4, b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MATROSKA: Final = _at(0, b"\x1a\x45\xdf\xa3")

# The endings of each kind, its media types, and how its bytes begin.
_KINDS: Final[tuple[tuple[tuple[str, ...], tuple[str, ...], _Matcher], ...]] = (
    (("png", "apng"), ("image/png", "image/apng"), _at(0, b"\x89PNG\r\n\x1a\n")),
    (("jpg", "jpeg", "jpe"), ("image/jpeg",), _at(0, b"\xff\xd8\xff")),
    (("gif",), ("image/gif",), _at(0, b"GIF87a", b"GIF89a")),
    (("webp",), ("image/webp",), _riff(b"WEBP")),
    (("tif", "tiff"), ("image/tiff",), _at(0, b"II*\x00", b"MM\x00*")),
    (("ico",), ("image/x-icon", "image/vnd.microsoft.icon"), _at(0, b"\x00\x00\x01\x00")),
    (("bmp",), ("image/bmp",), _at(0, b"BM")),
    (("heic", "heif", "avif"), ("image/heic", "image/heif", "image/avif"), _at(4, b"ftyp")),
    (("pdf",), ("application/pdf",), lambda head: b"%PDF-" in head),
    (("rtf",), ("application/rtf", "text/rtf"), _at(0, b"{\\rtf")),
    (
        (
            "zip",
            "jar",
            "war",
            "ear",
            "whl",
            "egg",
            "apk",
            "aar",
            "nupkg",
            "docx",
            "xlsx",
            "pptx",
            "odt",
            "ods",
            "odp",
            "epub",
            "xpi",
            "vsix",
        ),
        ("application/zip", "application/java-archive"),
        _ZIP,
    ),
    (("gz", "tgz"), ("application/gzip", "application/x-gzip"), _at(0, b"\x1f\x8b")),
    (("bz2", "tbz2"), ("application/x-bzip2",), _at(0, b"BZh")),
    (("xz", "txz"), ("application/x-xz",), _at(0, b"\xfd7zXZ\x00")),
    (("zst", "zstd"), ("application/zstd",), _at(0, b"\x28\xb5\x2f\xfd")),
    (("7z",), ("application/x-7z-compressed",), _at(0, b"7z\xbc\xaf\x27\x1c")),
    (("rar",), ("application/vnd.rar", "application/x-rar-compressed"), _at(0, b"Rar!\x1a\x07")),
    # An archive of nothing is blocks of zeros.
    (("tar",), ("application/x-tar",), lambda head: head[257:262] == b"ustar" or (len(head) > 511 and not any(head))),
    (("mp4", "m4v", "m4a", "mov", "3gp"), ("video/mp4", "video/quicktime", "audio/mp4"), _MEDIA),
    (("webm", "mkv"), ("video/webm", "video/x-matroska", "audio/webm"), _MATROSKA),
    (("avi",), ("video/x-msvideo",), _riff(b"AVI ")),
    (("wav",), ("audio/wav", "audio/x-wav"), _riff(b"WAVE")),
    (("mp3",), ("audio/mpeg",), _at(0, b"ID3", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2")),
    (("ogg", "oga", "ogv", "opus"), ("audio/ogg", "video/ogg"), _at(0, b"OggS")),
    (("flac",), ("audio/flac",), _at(0, b"fLaC")),
    (("woff",), ("font/woff",), _at(0, b"wOFF")),
    (("woff2",), ("font/woff2",), _at(0, b"wOF2")),
    (("ttf", "otf"), ("font/ttf", "font/otf"), _at(0, b"\x00\x01\x00\x00", b"OTTO", b"true")),
    (("sqlite", "sqlite3"), ("application/vnd.sqlite3",), _at(0, b"SQLite format 3\x00")),
    (("parquet",), ("application/vnd.apache.parquet",), _at(0, b"PAR1")),
    (("wasm",), ("application/wasm",), _at(0, b"\x00asm")),
    (("class",), ("application/java-vm",), _at(0, b"\xca\xfe\xba\xbe")),
    (("exe", "dll", "sys", "msix"), ("application/vnd.microsoft.portable-executable",), _at(0, b"MZ")),
    (("elf",), ("application/x-elf", "application/x-executable"), _at(0, b"\x7fELF")),
)
_BY_ENDING: Final = {ending: matches for endings, _, matches in _KINDS for ending in endings}
_BY_TYPE: Final = {media_type: matches for _, media_types, matches in _KINDS for media_type in media_types}
_TEXT: Final = frozenset(
    """
    adoc asc bash bat c cast cc cfg conf cpp cs css csv diff env go h hpp htm html ini java js json jsonl jsx kt log lua
    md mjs out patch php pl ps1 properties py rb rs rst sarif scala sh sql srt svg swift tap text toml trace ts tsv tsx
    txt vtt xhtml xml yaml yml zsh
    """.split()  # noqa: SIM905  # a word a line hides the list
)
# What no text begins with, however short the others' signatures are.
_NOT_TEXT: Final = (
    *(matches for endings, _, matches in _KINDS if endings[0] not in {"bmp", "exe", "mp4", "ico", "mp3", "ttf", "rtf"}),
    _is_program,
    _at(0, b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"),
)


def kinds_of_file(head: bytes) -> frozenset[str]:
    """Return the kinds that a file which begins with `head` may be of, each by its first ending; none for text."""
    return frozenset(endings[0] for endings, _, matches in _KINDS if matches(head))


def ending_of(name: str) -> str:
    """Return what stands behind the last full stop of `name`, in lower case; empty where there is none."""
    stem, stop, ending = name.rpartition(".")
    return ending.lower() if stop and stem else ""


def promises(name: str, media_type: str) -> bool:
    """Tell whether name or media type say something of the content that could be untrue."""
    return (
        _type_of(media_type) in _BY_TYPE
        or media_type.startswith("text/")
        or ending_of(name) in _BY_ENDING
        or ending_of(name) in _TEXT
    )


def is_kept(name: str, media_type: str, head: bytes) -> bool:
    """Tell whether the file that begins with `head` (its first `SNIFFED_BYTES`, or all of it) is what both say."""
    ending, of_type = ending_of(name), _BY_TYPE.get(_type_of(media_type))
    if of_type is not None and not of_type(head):
        return False
    if (of_ending := _BY_ENDING.get(ending)) is not None:
        return of_ending(head)
    is_text = ending in _TEXT or (media_type.startswith("text/") and of_type is None)
    return not (is_text and any(matches(head) for matches in _NOT_TEXT))


def truthful(name: str, media_type: str, head: bytes) -> tuple[str, str]:
    """Return a name and a media type that promise nothing untrue: the given ones, or as bytes of no known kind."""
    if is_kept(name, media_type, head):
        return name, media_type
    name = name if is_kept(name, ANY, head) else f"{name}{ENDING}"
    return name, ANY


def _type_of(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()
