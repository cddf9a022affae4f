"""Which plugins are installed, from which distribution, with which content. Looks without importing any of them."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, cast

GROUP_PREFIX = "failgate.plugins.v"
# Written by the installer about the installation; they differ where the content is the same.
_ABOUT_THE_INSTALLATION = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"}


@dataclass(frozen=True, slots=True)
class Content:
    """One file of a distribution: its name in the list of files, where it is, and its SHA-256 in hex or `missing`."""

    name: str
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """One entry point: the plugin's name, the API version that it is written for, its entry point and distribution."""

    name: str
    api: str
    entry_point: EntryPoint

    @property
    def distribution(self) -> str:
        """Return the distribution's name, or `unknown` for an entry point without one."""
        return self.entry_point.dist.name if self.entry_point.dist else "unknown"

    @property
    def version(self) -> str:
        """Return the distribution's version, or `unknown`."""
        return self.entry_point.dist.version if self.entry_point.dist else "unknown"

    def digest(self) -> str:
        """Return `sha256:` and the hex digest over every file of the distribution, by name and content.

        Of an editable installation the files are those of the entry point's own package in its source tree.
        """
        return digest_over(self.contents())

    def contents(self) -> list[Content]:
        """Return every file that the digest is over, as it is now, by name."""
        return [Content(name, path, _sha256_of(path)) for name, path in sorted(self._files())]

    def location(self) -> str:
        """Return the folder or file that the plugin would be imported from, empty when there is none."""
        roots = _source_roots(self.entry_point.module)
        return str(roots[0]) if roots else ""

    def is_editable(self) -> bool:
        """Tell whether its code stands in a source tree that the installation only points to."""
        return self.entry_point.dist is not None and _is_editable(self.entry_point.dist)

    def _files(self) -> Iterator[tuple[str, Path]]:
        distribution = self.entry_point.dist
        if distribution is None or distribution.files is None or self.is_editable():
            yield from _source_files(self.entry_point.module)
            return
        for file in distribution.files:
            is_own = not (file.suffix == ".pyc" or "__pycache__" in file.parts)
            is_about = file.name in _ABOUT_THE_INSTALLATION and file.parent.name.endswith(".dist-info")
            if is_own and not is_about:
                yield file.as_posix(), Path(str(file.locate()))


def find_installed() -> list[InstalledPlugin]:
    """Return every installed plugin, of every API version, by name."""
    found: list[InstalledPlugin] = []
    for group in entry_points().groups:
        version = group.removeprefix(GROUP_PREFIX)
        if group.startswith(GROUP_PREFIX) and version.isdigit():
            found += [InstalledPlugin(point.name, version, point) for point in entry_points(group=group)]
    return sorted(found, key=lambda each: (each.name, int(each.api), each.distribution))


def digest_over(contents: Iterable[Content]) -> str:
    """Return `sha256:` and the hex digest over `contents`, which are in the order of their names."""
    whole = hashlib.sha256()
    for each in contents:
        whole.update(f"{each.sha256}  {each.name}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def _sha256_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "missing"


def _is_editable(distribution: Distribution) -> bool:
    text = distribution.read_text("direct_url.json")
    try:
        document: Any = json.loads(text) if text else {}
    except ValueError:
        return True  # nobody knows: hash what would be imported
    if not isinstance(document, dict):
        return True
    origin: Any = cast("dict[str, Any]", document).get("dir_info") or {}
    return bool(isinstance(origin, dict) and cast("dict[str, Any]", origin).get("editable"))


def _source_roots(module: str) -> list[Path]:
    """Return the folders, or the one file, of the top-level package of `module`; finding that imports nothing."""
    try:
        spec = find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(folder) for folder in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.origin else []


def _source_files(module: str) -> Iterator[tuple[str, Path]]:
    for root in _source_roots(module):
        if root.is_file():
            yield root.name, root
            continue
        for path in root.rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                yield PurePosixPath(root.name, path.relative_to(root).as_posix()).as_posix(), path
