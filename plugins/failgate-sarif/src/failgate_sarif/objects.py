"""The parts of a SARIF log that are read; members without a field here are passed over and never built.

Source: OASIS Standard, Static Analysis Results Interchange Format (SARIF) 2.1.0, section 3; each class names its own.
"""

from typing import Literal

import msgspec

Level = Literal["none", "note", "warning", "error"]
Kind = Literal["notApplicable", "pass", "fail", "review", "open", "informational"]


class _Object(msgspec.Struct, frozen=True, rename="camel"):
    """A JSON object with members in camelCase; a member that is null is as one that is missing."""


class Message(_Object, frozen=True):
    """3.11: a text, or the id of one, and what its placeholders stand for."""

    text: str | None = None
    id: str | None = None
    arguments: list[str] | None = None


class MessageString(_Object, frozen=True):
    """3.12: a text with placeholders."""

    text: str = ""


class ArtifactLocation(_Object, frozen=True):
    """3.4: where an artifact is; `index` is into `run.artifacts`."""

    uri: str | None = None
    uri_base_id: str | None = None
    index: int = -1


class Content(_Object, frozen=True):
    """3.3: a piece of a text."""

    text: str | None = None


class Region(_Object, frozen=True):
    """3.30: a part of an artifact; lines and columns count from 1, offsets from 0."""

    start_line: int | None = None
    start_column: int | None = None
    char_offset: int = -1
    byte_offset: int = -1
    snippet: Content | None = None


class PhysicalLocation(_Object, frozen=True):
    """3.29."""

    artifact_location: ArtifactLocation | None = None
    region: Region | None = None
    context_region: Region | None = None


class LogicalLocation(_Object, frozen=True):
    """3.33: a function, a class; `index` is into `run.logicalLocations`."""

    name: str | None = None
    fully_qualified_name: str | None = None
    index: int = -1


class Location(_Object, frozen=True):
    """3.28."""

    id: int = -1
    physical_location: PhysicalLocation | None = None
    logical_locations: list[LogicalLocation] | None = None
    message: Message | None = None


class Frame(_Object, frozen=True):
    """3.45."""

    location: Location | None = None
    module: str | None = None


class Stack(_Object, frozen=True):
    """3.44: the innermost frame first."""

    message: Message | None = None
    frames: list[Frame] | None = None


class FlowStep(_Object, frozen=True):
    """3.38: `index` is into `run.threadFlowLocations`."""

    location: Location | None = None
    stack: Stack | None = None
    index: int = -1


class ThreadFlow(_Object, frozen=True):
    """3.37: steps in the order in which they happen."""

    locations: list[FlowStep] | None = None


class CodeFlow(_Object, frozen=True):
    """3.36."""

    message: Message | None = None
    thread_flows: list[ThreadFlow] | None = None


class ComponentReference(_Object, frozen=True):
    """3.54: `index` is into `tool.extensions`."""

    name: str | None = None
    guid: str | None = None
    index: int = -1


class DescriptorReference(_Object, frozen=True):
    """3.52."""

    id: str | None = None
    guid: str | None = None
    index: int = -1
    tool_component: ComponentReference | None = None


class Configuration(_Object, frozen=True):
    """3.50."""

    level: Level | None = None


class Override(_Object, frozen=True):
    """3.51."""

    configuration: Configuration
    descriptor: DescriptorReference


class Descriptor(_Object, frozen=True):
    """3.49: a rule, or a kind of notification."""

    id: str
    guid: str | None = None
    name: str | None = None
    short_description: MessageString | None = None
    message_strings: dict[str, MessageString] | None = None
    default_configuration: Configuration | None = None


class Component(_Object, frozen=True):
    """3.19: the driver of a tool, or an extension."""

    name: str
    guid: str | None = None
    version: str | None = None
    semantic_version: str | None = None
    rules: list[Descriptor] | None = None
    notifications: list[Descriptor] | None = None
    global_message_strings: dict[str, MessageString] | None = None


class Tool(_Object, frozen=True):
    """3.18."""

    driver: Component
    extensions: list[Component] | None = None


class Suppression(_Object, frozen=True):
    """3.35."""

    status: Literal["accepted", "underReview", "rejected"] | None = None


class Provenance(_Object, frozen=True):
    """3.48: `invocation_index` is into `run.invocations`."""

    invocation_index: int = -1


class Result(_Object, frozen=True):
    """3.27."""

    message: Message
    rule_id: str | None = None
    rule_index: int = -1
    rule: DescriptorReference | None = None
    kind: Kind | None = None
    level: Level | None = None
    locations: list[Location] | None = None
    related_locations: list[Location] | None = None
    fingerprints: dict[str, str] | None = None
    partial_fingerprints: dict[str, str] | None = None
    code_flows: list[CodeFlow] | None = None
    stacks: list[Stack] | None = None
    suppressions: list[Suppression] | None = None
    baseline_state: Literal["new", "unchanged", "updated", "absent"] | None = None
    provenance: Provenance | None = None


class Failure(_Object, frozen=True):
    """3.59: an exception."""

    kind: str | None = None
    message: str | None = None
    stack: Stack | None = None
    inner_exceptions: list["Failure"] | None = None


class Notification(_Object, frozen=True):
    """3.58."""

    message: Message
    level: Level | None = None
    descriptor: DescriptorReference | None = None
    exception: Failure | None = None
    locations: list[Location] | None = None


class Invocation(_Object, frozen=True):
    """3.20: how the tool was called and how it ended. `account` and the environment say who; they are not read."""

    execution_successful: bool = True
    command_line: str | None = None
    arguments: list[str] | None = None
    executable_location: ArtifactLocation | None = None
    working_directory: ArtifactLocation | None = None
    start_time_utc: str | None = None
    end_time_utc: str | None = None
    exit_code: int | None = None
    exit_code_description: str | None = None
    exit_signal_name: str | None = None
    exit_signal_number: int | None = None
    process_start_failure_message: str | None = None
    machine: str | None = None
    rule_configuration_overrides: list[Override] | None = None
    notification_configuration_overrides: list[Override] | None = None
    tool_execution_notifications: list[Notification] | None = None
    tool_configuration_notifications: list[Notification] | None = None


class Revision(_Object, frozen=True):
    """3.23: what was analysed, in the words of a version control system."""

    repository_uri: str | None = None
    revision_id: str | None = None
    branch: str | None = None
    revision_tag: str | None = None


class Automation(_Object, frozen=True):
    """3.17: which run of what this is."""

    id: str | None = None
    guid: str | None = None


class Artifact(_Object, frozen=True):
    """3.24."""

    location: ArtifactLocation | None = None


class Run(_Object, frozen=True):
    """3.14."""

    tool: Tool
    results: list[Result] | None = None
    invocations: list[Invocation] | None = None
    artifacts: list[Artifact] | None = None
    logical_locations: list[LogicalLocation] | None = None
    thread_flow_locations: list[FlowStep] | None = None
    original_uri_base_ids: dict[str, ArtifactLocation] | None = None
    version_control_provenance: list[Revision] | None = None
    automation_details: Automation | None = None
    external_property_file_references: dict[str, msgspec.Raw] | None = None


class Log(_Object, frozen=True):
    """3.13."""

    runs: list[Run] | None


class Version(_Object, frozen=True):
    """What says which version of the standard a log follows."""

    version: str | None = None
