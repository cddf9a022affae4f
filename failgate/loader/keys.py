"""Keys of plugins: made once, kept sealed in the core's database, where backups and a change of the key reach them."""

import base64
import secrets

from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Event
from failgate.base.db import Database, Transaction
from failgate.base.secretbox import KEY_BYTES, SecretBox


class PluginKeys:
    """Gives each plugin boxes under keys of its own."""

    def __init__(self, database: Database, audit: AuditLog, box: SecretBox) -> None:
        """Keep the keys in `database`, sealed by `box`."""
        self._database = database
        self._audit = audit
        self._box = box

    async def box_of(self, instance: str, name: str) -> SecretBox:
        """Return the box `name` of `instance`, under a key that is made, and put on record, when there is none.

        Raises: FailgateError (the key that there is does not open).
        """
        identity = f"{instance}/{name}"

        async def verb(tx: Transaction) -> bytes:
            row = await tx.fetch_one("SELECT sealed FROM plugin_key WHERE id = $1", identity)
            if row is not None:
                return self._box.unseal(base64.b64decode(row["sealed"]), purpose="plugin key", owner=identity)
            key = secrets.token_bytes(KEY_BYTES)
            sealed = base64.b64encode(self._box.seal(key, purpose="plugin key", owner=identity)).decode()
            await tx.execute("INSERT INTO plugin_key (id, sealed) VALUES ($1, $2)", identity, sealed)
            facts = {"act": "key.created", "subject": name}
            await self._audit.append(tx, Event(Act.PLUGIN_ACTED, SYSTEM, "plugin", instance, SERVER, {**facts}))
            return key

        return SecretBox(await self._database.write(verb))
