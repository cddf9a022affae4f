"""What `[pins]` demands of a plugin before a line of it is imported, and an import of nothing but what was hashed.

The digest is of files; what Python imports is often something else: bytecode beside them, another file of that name
that an earlier folder of the path has, an extension module that nobody listed. So the modules of a pinned distribution
are found here alone: read from the files that were hashed, compiled anew, hashed again as they are read.
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from failgate.config.installed import Content, InstalledPlugin, digest_over
from failgate.config.model import Config, Instance
from failgate.config.pins import normalized
from failgate.config.settings import Reader, nearest

_SECTION = ("pins", "distributions")


@dataclass(frozen=True, slots=True)
class Pin:
    """What an operator may write for one distribution: its digest, or why it has none; `plugins` are those in it."""

    distribution: str
    version: str
    plugins: tuple[str, ...]
    digest: str
    obstacle: str = ""


def pins_of(plugins: Iterable[InstalledPlugin]) -> list[Pin]:
    """Return a pin for each distribution of `plugins`, by name; imports nothing."""
    kept: dict[str, list[InstalledPlugin]] = {}
    for each in plugins:
        kept.setdefault(normalized(each.distribution), []).append(each)
    found: list[Pin] = []
    for _, (first, *more) in sorted(kept.items()):
        contents = first.contents()
        names = tuple(sorted({each.name for each in (first, *more)}))
        obstacles = [_obstacle(each, contents) for each in (first, *more)]
        obstacle = next((one for one in obstacles if one), "")
        found.append(Pin(first.distribution, first.version, names, digest_over(contents), obstacle))
    return found


def refuse_unpinned(
    config: Config, chosen: Sequence[tuple[Instance, InstalledPlugin]], reader: Reader
) -> frozenset[str]:
    """Keep a mistake for each distribution of `chosen` that is not as `[pins]` says; hold the others to their files.

    Returns the distributions of which nothing may be imported; none when the config pins nothing.
    """
    pinned = config.pins.distributions
    if pinned is None:
        return frozenset()
    digests = {normalized(name): (name, digest) for name, digest in pinned.items()}
    refused: set[str] = set()
    good: dict[str, list[Content]] = {}
    seen: dict[str, list[Content]] = {}
    for instance, found in chosen:
        first = found.distribution not in seen
        contents = seen.setdefault(found.distribution, found.contents() if first else [])
        if _is_refused(instance, found, contents, digests, reader, is_first=first):
            refused.add(found.distribution)
        good[found.distribution] = contents
    for distribution, contents in good.items():
        if distribution not in refused:
            _Modules.installed().hold(contents)
    return frozenset(refused)


def _is_refused(
    instance: Instance,
    found: InstalledPlugin,
    contents: Sequence[Content],
    digests: Mapping[str, tuple[str, str]],
    reader: Reader,
    *,
    is_first: bool,
) -> bool:
    where = f'the plugin "{found.name}" ({found.distribution} {found.version})'
    name, expected = digests.get(normalized(found.distribution), ("", ""))
    digest = digest_over(contents)
    obstacle = _obstacle(found, contents) or _imported_before(contents)
    if not name:
        if is_first:
            meant = nearest(found.distribution, [name for name, _ in digests.values()])
            ask = f'did you mean "{meant}"? ' if meant else ""
            hint = f"{ask}`failgate plugins --pins` prints the line to add, once you trust what is installed: {digest}"
            reader.keep(_SECTION, f"{where} is named by {_dotted(instance)} and not pinned", hint=hint)
        return True
    if digest != expected:
        if is_first:
            sentence = f"{where} is not what was pinned: expected {expected}, found {digest}"
            reader.keep((*_SECTION, name), sentence, at="value", hint=_mend_for_changed(found))
        return True
    if obstacle:
        reader.keep((*_SECTION, name), f"{where} cannot be pinned: {obstacle}", hint=_MEND_FOR_OBSTACLE)
        return True
    return False


_MEND_FOR_OBSTACLE = "install it from its wheel with `pip install --force-reinstall --no-deps`, or take it out"


def _mend_for_changed(found: InstalledPlugin) -> str:
    return (
        f"if nobody changed it on purpose, install it again: `pip install --force-reinstall --no-deps "
        f"{found.distribution}=={found.version}`; if it was updated, look at the update, and then copy the digest that "
        "`failgate plugins --pins` prints"
    )


def _dotted(instance: Instance) -> str:
    return ".".join(str(part) for part in instance.path)


def _obstacle(found: InstalledPlugin, contents: Sequence[Content]) -> str:
    """Return why the digest would not say which code runs, or an empty text."""
    if found.is_editable():
        return "it is an editable installation, whose code stands in a folder where it is written"
    if found.entry_point.dist is None or found.entry_point.dist.files is None:
        return "its installation has no list of its files (RECORD)"
    early = [each.name for each in contents if each.name.endswith(".pth")]
    if early:
        return f"it brings {early[0]}, which Python runs at every start, before anything is checked"
    if found.entry_point.module not in _modules_in(contents):
        return f"the module {found.entry_point.module} that it names is none of its files"
    return ""


def _imported_before(contents: Sequence[Content]) -> str:
    for name, content in _modules_in(contents).items():
        module = sys.modules.get(name)
        loader: Any = getattr(getattr(module, "__spec__", None), "loader", None)
        if module is not None and getattr(loader, "sha256", None) != content.sha256:
            return f"{name} was imported before it was checked"
    return ""


def _modules_in(contents: Iterable[Content]) -> dict[str, Content]:
    """Return the modules that `contents` hold, by their full names: packages first, then extensions, then sources."""
    found: dict[str, tuple[int, Content]] = {}
    for each in contents:
        name, rank = _module_name(PurePosixPath(each.name))
        if name and (name not in found or rank < found[name][0]):
            found[name] = rank, each
    return {name: content for name, (_, content) in found.items()}


def _module_name(file: PurePosixPath) -> tuple[str, int]:
    """Return the module that `file` is and what Python prefers, less being before; an empty name for other files."""
    suffix = next((one for one in (*EXTENSION_SUFFIXES, ".py") if file.name.endswith(one)), "")
    parts = (*file.parts[:-1], file.name.removesuffix(suffix))
    if not suffix or not all(part.isidentifier() for part in parts):
        return "", 0
    if parts[-1] == "__init__":
        return ".".join(parts[:-1]), 0
    return ".".join(parts), 1 + (suffix == ".py")


class _Modules(MetaPathFinder):
    """Finds the modules of pinned distributions, first of all finders."""

    def __init__(self) -> None:
        self._modules: dict[str, Content] = {}

    @classmethod
    def installed(cls) -> "_Modules":
        """Return the one of this process."""
        for finder in sys.meta_path:
            if isinstance(finder, cls):
                return finder
        made = cls()
        sys.meta_path.insert(0, made)
        return made

    def hold(self, contents: Iterable[Content]) -> None:
        """Find the modules of `contents` as they were hashed, and nothing else inside of their packages."""
        self._modules.update(_modules_in(contents))

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  # the finder's signature
        target: ModuleType | None = None,  # noqa: ARG002  # the finder's signature
    ) -> ModuleSpec | None:
        """Return where the module is; None for one that is nobody's pinned one. Raises: ModuleNotFoundError."""
        content = self._modules.get(fullname)
        if content is not None:
            return _spec_of(fullname, content)
        if any(_is_package(self._modules.get(above)) for above in _above(fullname)):
            raise ModuleNotFoundError(f"{fullname} is no file of the distribution that is pinned", name=fullname)
        return None


def _spec_of(fullname: str, content: Content) -> ModuleSpec | None:
    loads = _HashedSource if content.path.suffix == ".py" else _HashedExtension
    folders = [str(content.path.parent)] if _is_package(content) else None
    return spec_from_file_location(
        fullname,
        content.path,
        loader=loads(fullname, content.path, content.sha256),
        submodule_search_locations=folders,
    )


def _is_package(content: Content | None) -> bool:
    return content is not None and content.path.name.partition(".")[0] == "__init__"


def _above(fullname: str) -> Iterator[str]:
    while "." in fullname:
        fullname = fullname.rpartition(".")[0]
        yield fullname


class _HashedSource(SourceFileLoader):
    """Compiles a source that is still what was hashed; bytecode that lies beside it is neither read nor written."""

    def __init__(self, fullname: str, path: Path, sha256: str) -> None:
        super().__init__(fullname, str(path))
        self.sha256 = sha256

    def path_stats(self, path: str) -> Any:  # noqa: ARG002  # the loader's signature
        """Know no times. Raises: OSError, by which Python is told that there is no bytecode."""
        raise OSError("bytecode is not used")

    def get_data(self, path: str) -> bytes:
        """Return the bytes at `path`. Raises: ImportError when the source is another one than was hashed."""
        octets = super().get_data(path)
        if path == self.path:
            _compare(octets, self.sha256, path)
        return octets


class _HashedExtension(ExtensionFileLoader):
    """Loads an extension module that is still what was hashed."""

    def __init__(self, fullname: str, path: Path, sha256: str) -> None:
        super().__init__(fullname, str(path))
        self.sha256 = sha256

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module. Raises: ImportError when its file is another one than was hashed."""
        _compare(Path(self.path).read_bytes(), self.sha256, self.path)
        return super().create_module(spec)


def _compare(octets: bytes, sha256: str, path: str) -> None:
    if hashlib.sha256(octets).hexdigest() != sha256:
        raise ImportError(f"{path} has changed since its distribution was compared with its pin", path=path)
