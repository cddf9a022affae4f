"""What the parts of a run mean: which rule, which level, which text, which place. Pure lookups in one run.

Every text that comes out of here is bounded, for a short document can name one long text many times.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

from failgate_sarif.objects import (
    ArtifactLocation,
    Component,
    Descriptor,
    DescriptorReference,
    Level,
    Location,
    LogicalLocation,
    Message,
    MessageString,
    Notification,
    Region,
    Result,
    Run,
)

LONGEST_TEXT: Final = 8_000
"""Characters of one message. Half a secret escapes the rules, so a longer one ends at a space where it has one."""
LONGEST_PLACE: Final = 1_000
_LONGEST_ID: Final = 300
_MOST_PARTS: Final = 8
_MOST_BASES: Final = 16  # a base may be relative to another one
_PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\{([0-9]{1,6})\}")
_LINK: Final = re.compile(r"\[((?:[^\[\]\\]|\\.)*)\]\(([^()\s]*)\)", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\([\[\]\\])")
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_DRIVE: Final = re.compile(r"/[A-Za-z]:")
_T = TypeVar("_T")


class RunReader:
    """Answers questions about one run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._components: Sequence[Component] = (run.tool.driver, *(run.tool.extensions or ()))
        self._places: dict[tuple[str, str], int] = {}
        for place, one in reversed(list(enumerate(self._components))):
            self._places[("name", one.name)] = place
            self._places[("guid", one.guid or "")] = place
        self._rules = [{rule.id: rule for rule in reversed(one.rules or ())} for one in self._components]
        self._kinds = [{kind.id: kind for kind in reversed(one.notifications or ())} for one in self._components]
        self._by_guid = {
            rule.guid: (rule, one) for one in self._components for rule in one.rules or () if rule.guid is not None
        }
        self._changed: dict[int, dict[int, Level]] = {}

    def rule_id(self, result: Result) -> str:
        """Return the id of the rule, as the result writes it, else as the rule does. Source: 3.27.5."""
        written = result.rule_id or (result.rule.id if result.rule else None)
        if not written:
            rule, _ = self.rule_of(result)
            written = rule.id if rule else ""
        return _line(written, _LONGEST_ID)

    def rule_of(self, result: Result) -> tuple[Descriptor | None, Component]:
        """Return the rule that a result names, and the component that has it. Source: 3.27.7, 3.52.3."""
        named = result.rule or DescriptorReference()
        place = named.index if named.index >= 0 else result.rule_index
        return self._rule(named, named.id or result.rule_id or "", place)

    def level_of(self, result: Result) -> Level:
        """Return the level: its own, that of a changed configuration, of its rule, else `warning`. Source: 3.27.10."""
        if result.kind not in {None, "fail"}:
            return "none"
        if result.level is not None:
            return result.level
        rule, _ = self.rule_of(result)
        if rule is None:
            return "warning"
        changed = self._changed_by(result.provenance.invocation_index if result.provenance else -1).get(id(rule))
        default = rule.default_configuration.level if rule.default_configuration else None
        return changed or default or "warning"

    def notification_level(self, notification: Notification) -> Level:
        """Return the level of a notification: its own, that of its kind, else `warning`. Source: 3.58.6."""
        if notification.level is not None:
            return notification.level
        kind, _ = self._kind(notification)
        default = kind.default_configuration.level if kind and kind.default_configuration else None
        return default or "warning"

    def text_of_result(self, result: Result) -> str:
        """Return what a result says."""
        rule, component = self.rule_of(result)
        text = self.text(
            result.message, rule, component, [*(result.locations or ()), *(result.related_locations or ())]
        )
        if text or rule is None or rule.short_description is None:
            return text
        return _cut(rule.short_description.text, LONGEST_TEXT)

    def text_of_notification(self, notification: Notification) -> str:
        """Return what a notification says."""
        kind, component = self._kind(notification)
        return self.text(notification.message, kind, component, notification.locations or ())

    def text(
        self,
        message: Message | None,
        descriptor: Descriptor | None = None,
        component: Component | None = None,
        places: Sequence[Location] = (),
    ) -> str:
        """Return a message with its placeholders filled in and its links as text. Source: 3.11.5 to 3.11.7."""
        if message is None:
            return ""
        own = message.text if message.text is not None else self._looked_up(message.id, descriptor, component)
        filled = _filled(own, message.arguments or ())
        if "](" not in filled:
            return filled
        ids = {str(place.id): place for place in places[:1000] if place.id >= 0}

        def plain(link: "re.Match[str]") -> str:
            shown = _ESCAPED.sub(r"\1", link[1])
            if not link[2].isdigit():
                return f"{shown} ({link[2]})"
            return f"{shown} ({self.place(ids[link[2]])})" if link[2] in ids else shown

        return _cut(_LINK.sub(plain, filled), LONGEST_TEXT)

    def place(self, location: Location | None) -> str:
        """Return where a location is: `path:line:column`, as far as it says; empty when it names no artifact."""
        physical = location.physical_location if location else None
        if physical is None:
            return ""
        path = self.path(physical.artifact_location)
        return f"{path}{_within(physical.region)}" if path else ""

    def function(self, location: Location | None) -> str:
        """Return the function, class or module of a location. Source: 3.33."""
        for named in (location.logical_locations or ())[:1] if location else ():
            known = at(self.run.logical_locations, named.index) or LogicalLocation()
            name = named.fully_qualified_name or known.fully_qualified_name or named.name or known.name
            return _line(name or "", LONGEST_PLACE)
        return ""

    def snippet(self, location: Location | None) -> str:
        """Return the text of the region, else that around it."""
        physical = location.physical_location if location else None
        for region in (physical.region, physical.context_region) if physical else ():
            if region is not None and region.snippet is not None and region.snippet.text:
                return _cut(region.snippet.text, 2_000)
        return ""

    def path(self, location: ArtifactLocation | None) -> str:
        """Return a path for a `file` URI or a relative one, the URI for any other. Source: 3.4, 3.14.14."""
        if location is not None and location.uri is None:
            known = at(self.run.artifacts, location.index)
            location = known.location if known else None
        if location is None:
            return ""
        uri, base = (location.uri or "")[:LONGEST_PLACE], location.uri_base_id
        for _ in range(_MOST_BASES):
            found = (self.run.original_uri_base_ids or {}).get(base) if base else None
            if found is None or _ABSOLUTE.match(uri):
                break
            uri, base = _joined((found.uri or "")[:LONGEST_PLACE], uri), found.uri_base_id
        return _line(_path_of(uri), LONGEST_PLACE)

    def _rule(self, named: DescriptorReference, name: str, place: int) -> tuple[Descriptor | None, Component]:
        where = self._component(named)
        if named.guid in self._by_guid and named.guid is not None:
            return self._by_guid[named.guid]
        component, rules = self._components[where], self._rules[where]
        found = at(component.rules, place)
        if found is None and name in rules:
            found = rules[name]
        parts = name[:_LONGEST_ID].split("/", _MOST_PARTS)  # a result may say more than its rule: CA5350/md5
        for length in range(len(parts) - 1, 0, -1):
            if found is None:
                found = rules.get("/".join(parts[:length]))
        return found, component

    def _component(self, named: DescriptorReference) -> int:
        wanted = named.tool_component
        if wanted is None:
            return 0
        if 0 <= wanted.index < len(self._components) - 1:
            return wanted.index + 1
        key = ("guid", wanted.guid) if wanted.guid else ("name", wanted.name or "")
        return self._places.get(key, 0)

    def _kind(self, notification: Notification) -> tuple[Descriptor | None, Component]:
        named = notification.descriptor
        if named is None:
            return None, self._components[0]
        place = self._component(named)
        component = self._components[place]
        return at(component.notifications, named.index) or self._kinds[place].get(named.id or ""), component

    def _changed_by(self, place: int) -> dict[int, Level]:
        """Return the levels that the invocation at `place` sets, by the identity of the rule."""
        if place not in self._changed:
            invocation = at(self.run.invocations, place)
            levels: dict[int, Level] = {}
            for one in (invocation.rule_configuration_overrides or ()) if invocation else ():
                found, _ = self._rule(one.descriptor, one.descriptor.id or "", one.descriptor.index)
                if found is not None and one.configuration.level is not None:
                    levels.setdefault(id(found), one.configuration.level)
            if invocation is None:
                return levels
            self._changed[place] = levels
        return self._changed[place]

    def _looked_up(self, name: str | None, descriptor: Descriptor | None, component: Component | None) -> str:
        if name is None:
            return ""
        own = (descriptor.message_strings or {}) if descriptor else {}
        everywhere = ((component or self._components[0]).global_message_strings) or {}
        return (own.get(name) or everywhere.get(name) or MessageString()).text


def _filled(text: str, arguments: Sequence[str]) -> str:
    """Return `text` with its placeholders replaced; one without an argument stays. Source: 3.11.5."""
    return _cut("".join(_pieces(text, arguments)), LONGEST_TEXT)


def _pieces(text: str, arguments: Sequence[str]) -> Iterator[str]:
    """Yield what `text` becomes until it is longer than what is kept."""
    end = size = 0
    for found in _PLACEHOLDER.finditer(text):
        place = int(found[1]) if found[1] else -1
        if found[1] and place >= len(arguments):
            continue
        new = arguments[place] if found[1] else found[0][0]
        yield text[end : found.start()]
        yield new
        size += found.start() - end + len(new)
        end = found.end()
        if size > LONGEST_TEXT:
            return
    yield text[end:]


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    end = max(text.rfind(" ", 0, most), text.rfind("\n", 0, most), 1)
    return f"{text[:end]} [failgate: {len(text) - end} characters left out]"


def _line(text: str, most: int) -> str:
    return " ".join(text[:most].split())


def _within(region: Region | None) -> str:
    if region is None:
        return ""
    if region.start_line is not None:
        return f":{region.start_line}" + (f":{region.start_column}" if region.start_column is not None else "")
    if region.char_offset >= 0:
        return f" (character {region.char_offset})"
    return f" (byte {region.byte_offset})" if region.byte_offset >= 0 else ""


def _joined(base: str, relative: str) -> str:
    if not base:
        return relative
    try:
        return urljoin(base if base.endswith("/") else f"{base}/", relative)
    except ValueError:  # no URI
        return relative


def _path_of(uri: str) -> str:
    if not _ABSOLUTE.match(uri):
        return unquote(uri)
    if uri[:5].lower() != "file:":
        return uri
    try:
        parts = urlsplit(uri)
    except ValueError:
        return uri
    path = unquote(parts.path)
    if parts.netloc not in {"", "localhost"}:
        return f"//{parts.netloc}{path}"
    return path[1:] if _DRIVE.match(path) else path


def at(items: Sequence[_T] | None, place: int) -> _T | None:
    """Return the item at `place` of an array that may be missing, or None."""
    return items[place] if items is not None and 0 <= place < len(items) else None
