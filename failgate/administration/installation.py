"""The operator's verbs about the installation: its identity providers, its keys, its log."""

from failgate.administration.verb import OPERATOR, Answer, Arguments, Subjects, Verbs
from failgate.artifacts.encrypting import Encrypting
from failgate.audit.bundle import Period
from failgate.audit.rekeying import LogKey
from failgate.base.errors import BadInput
from failgate.evidence.packs import pack_of
from failgate.roster import Services


class OneConnection(Arguments, frozen=True):
    """Arguments of the verbs about one connection."""

    connection: str


class AllowedAccount(OneConnection, frozen=True):
    """Arguments of `scim.allow`: whose account the connection may provision."""

    email: str


class OneDomain(OneConnection, frozen=True):
    """Arguments of `sso.verify_domain`."""

    domain: str


class KeyRotation(Arguments, frozen=True):
    """Arguments of `signing_key.rotate`; with `is_compromised` what the old keys signed ends at once."""

    is_compromised: bool = False


class OneLog(Arguments, frozen=True):
    """Arguments of `audit.checkpoint`: `system`, a workspace's slug, or the id of a deleted one."""

    log: str


class OnePack(Arguments, frozen=True):
    """Arguments of `audit.evidence`: of which workspace, which pack, and the period in microseconds since 1970."""

    workspace: str
    pack: str
    from_us: int | None = None
    to_us: int | None = None


class Encryption(Arguments, frozen=True):
    """Arguments of `artifacts.encrypt`: for how long it may go on before it answers."""

    seconds: int = 600


class Installation:
    """The verbs over open services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._subjects = Subjects(services)

    def table(self) -> Verbs:
        """Return each verb with the shape of its arguments."""
        return {
            "scim.token": (OneConnection, self._mint_scim_token),
            "scim.revoke": (OneConnection, self._revoke_scim_token),
            "scim.allow": (AllowedAccount, self._allow_in_scim),
            "sso.verify_domain": (OneDomain, self._verify_domain),
            "signing_key.rotate": (KeyRotation, self._rotate_signing_key),
            "sealing_key.rotate": (Arguments, self._rotate_sealing_key),
            "log_key.rotate": (Arguments, self._rotate_log_key),
            "rules.stored": (Arguments, self._stored_rules),
            "audit.checkpoint": (OneLog, self._checkpoint),
            "audit.evidence": (OnePack, self._begin_evidence),
            "audit.reconcile": (Arguments, self._reconcile),
            "witness.try": (Arguments, self._try_witnesses),
            "artifacts.rotate_key": (Arguments, self._rotate_artifact_key),
            "artifacts.encrypt": (Encryption, self._encrypt_artifacts),
        }

    async def _mint_scim_token(self, one: OneConnection) -> Answer:
        connection = await self._subjects.connection(one.connection)
        url = f"{self._services.config.server.base_url}/scim/v2"
        return {"token": await self._services.scim.tokens.mint(connection, OPERATOR), "url": url}

    async def _revoke_scim_token(self, one: OneConnection) -> Answer:
        connection = await self._subjects.connection(one.connection)
        await self._services.scim.tokens.revoke(connection, OPERATOR)
        return {"connection": connection.slug}

    async def _allow_in_scim(self, one: AllowedAccount) -> Answer:
        connection = await self._subjects.connection(one.connection)
        await self._services.scim.directory.allow(connection, one.email, OPERATOR)
        return {"connection": connection.slug}

    async def _verify_domain(self, one: OneDomain) -> Answer:
        connection = await self._subjects.connection(one.connection)
        if connection.workspace_id is None:
            raise BadInput("This connection is of the config file.", hint="Its domains stand there too.")
        connections = self._services.sso.connections
        domain = await self._services.sso.domains.vouch(
            connection.workspace_id, connection.id, one.domain, OPERATOR, lambda tx: connections.forget(tx, connection)
        )
        return {"connection": connection.slug, "domain": domain}

    async def _rotate_signing_key(self, how: KeyRotation) -> Answer:
        key = await self._services.signing_keys.rotate(OPERATOR, is_compromised=how.is_compromised)
        return {"kid": key.id}

    async def _rotate_sealing_key(self, _: Arguments) -> Answer:
        done = await self._services.resealing.rotate(OPERATOR)
        answer: Answer = {"key": done.key, "key_before": done.key_before, "values": done.values}
        if done.unreadable:
            answer["unreadable"] = done.unreadable
        return answer | ({"kept_as": done.kept_as} if done.kept_as is not None else {})

    async def _try_witnesses(self, _: Arguments) -> Answer:
        return {"witness": [one._asdict() for one in await self._services.witnessing.try_now(OPERATOR)]}

    async def _rotate_log_key(self, _: Arguments) -> Answer:
        done = await LogKey(self._services.db, self._services.audit).rotate(OPERATOR)
        return {"key": done.key, "key_before": done.key_before, "vkey": done.vkey}

    async def _rotate_artifact_key(self, _: Arguments) -> Answer:
        return {"rotated": await self._services.artifact_keys.rotate(OPERATOR)}

    async def _encrypt_artifacts(self, how: Encryption) -> Answer:
        services = self._services
        encrypting = Encrypting(
            services.db, services.audit, services.plugins.artifact_store, services.artifacts, services.artifact_keys
        )
        done = await encrypting.run(OPERATOR, how.seconds)
        return {"sealed": done.sealed, "failed": done.failed, "left": done.left}

    async def _stored_rules(self, _: Arguments) -> Answer:
        book = self._services.plugins.rulebook
        return {"rules": [list(row) for row in await book.stored()] if book is not None else []}

    async def _reconcile(self, _: Arguments) -> Answer:
        outcome = await self._services.reconciliation.run()
        differences = [
            {"kind": one.kind, "id": one.id, "log": one.log, "seq": one.seq, "sentence": str(one)}
            for one in outcome.differences
        ]
        return {"rows": outcome.rows, "differences": differences}

    async def _begin_evidence(self, one: OnePack) -> Answer:
        """Record that the operator takes a pack along; return the signed heads that it is made under."""
        workspace, pack = await self._subjects.workspace(one.workspace), pack_of(one.pack)
        exports = self._services.evidence.exports
        heads = await exports.heads(workspace.id)
        await exports.record(OPERATOR, heads[0], Period(one.from_us, one.to_us), pack.id)
        signed = [{"log": head.log, "checkpoint": head.note, "vkey": head.vkey} for head in heads]
        return {"slug": workspace.slug, "name": workspace.name, "heads": signed}

    async def _checkpoint(self, one: OneLog) -> Answer:
        kept = {"system", *(left.id for left in await self._services.deletion.deleted())}
        log = one.log if one.log in kept else (await self._subjects.workspace(one.log)).id
        audit = self._services.audit
        return {"log": log, "checkpoint": await audit.checkpoint(log), "vkey": await audit.vkey(log)}
