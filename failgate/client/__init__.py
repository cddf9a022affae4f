"""The client: what runs on the machine of an agent, a CI job or a developer, and what Python programs import.

It starts fast: no server part, no heavy library, no scan of entry points. Public names for programs: `Gate` and what it
gives and raises; they are loaded when they are asked for. `docs/client.md` is their page.
"""

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from failgate.client.approval import Approval as Approval
    from failgate.client.exits import ClientError as ClientError
    from failgate.client.gate import Denied as Denied
    from failgate.client.gate import Explained as Explained
    from failgate.client.gate import Gate as Gate
    from failgate.client.gate import NotExecuted as NotExecuted
    from failgate.client.gate import Said as Said
    from failgate.client.gated import Finished as Finished
    from failgate.client.gated import Gated as Gated

__all__ = ["Approval", "ClientError", "Denied", "Explained", "Finished", "Gate", "Gated", "NotExecuted", "Said"]


def __getattr__(name: str) -> object:
    """Load a public name when a program asks for it."""
    if name not in __all__:
        raise AttributeError(f"module 'failgate.client' has no attribute {name!r}")
    from importlib import import_module

    if name == "ClientError":
        return import_module("failgate.client.exits").ClientError
    return getattr(import_module("failgate.client.gate"), name)
