"""The public test kit for plugin authors: what every plugin of a slot has to keep, as classes to inherit.

```python
class TestMyStore(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[ArtifactStore]:
        async with opened(plugin, {"folder": str(tmp_path)}, host_at(tmp_path)) as provides:
            assert provides.artifact_store
            yield provides.artifact_store
```

The first-party plugins inherit the same classes. Needs pytest and pytest-asyncio, which Failgate itself does not bring.
"""

from failgate.base.clock import FrozenClock
from failgate.testing.document import DocumentContract, cleaned
from failgate.testing.exporter import ExporterContract, exported
from failgate.testing.format import FormatContract
from failgate.testing.notifier import PLANTED, SECRETS, NotifierContract, Other, notification
from failgate.testing.opening import command, host_at, opened, settings_from
from failgate.testing.policy import PolicyContract, assert_readable
from failgate.testing.receiver import Posted, Receiver, Reply, receiving
from failgate.testing.store import StoreContract

__all__ = [
    "PLANTED",
    "SECRETS",
    "DocumentContract",
    "ExporterContract",
    "FormatContract",
    "FrozenClock",
    "NotifierContract",
    "Other",
    "PolicyContract",
    "Posted",
    "Receiver",
    "Reply",
    "StoreContract",
    "assert_readable",
    "cleaned",
    "command",
    "exported",
    "host_at",
    "notification",
    "opened",
    "receiving",
    "settings_from",
]
