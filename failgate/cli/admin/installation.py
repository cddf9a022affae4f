"""Provisioning, single sign-on, the key that signs access tokens."""

import click

from failgate.cli.admin.command import CONNECTION, EMAIL, Room

scim = Room("scim", "Provisioning through a connection.")
sso = Room("sso", "Single sign-on.")
signing_key = Room("signing-key", "The key that signs access tokens.")
artifacts = Room("artifacts", "Encryption of artifacts at rest.")
sealing_key = Room("sealing-key", "The key that seals secrets in the database.")
log_key = Room("log-key", "The key that signs checkpoints of the audit log.")
witness = Room("witness", "The witnesses that the config names.")
ROOMS = (scim, sso, signing_key, sealing_key, log_key, witness, artifacts)

scim.add(
    "token",
    "Make the token by which a connection's provider provisions; it is shown once, and replaces the one before.",
    CONNECTION,
)
scim.add("revoke", "End the token of a connection at once.", CONNECTION)
scim.add("allow", "Let a connection provision an account that is there already.", CONNECTION, EMAIL)

sso.add(
    "verify-domain",
    "Vouch for a mail domain of a workspace's connection, in place of its DNS record.",
    CONNECTION,
    click.Option(["--domain"], required=True, metavar="D"),
)

signing_key.add(
    "rotate",
    "Sign with a new key from now on; the old one verifies until its tokens are over.",
    click.Option(["--compromised", "is_compromised"], is_flag=True, help="End at once what the old keys signed."),
)

sealing_key.add("rotate", "Seal by a new key from now on, and all that there is; the old key opens nothing any more.")

log_key.add("rotate", "Sign with a new key from now on; what the old one signed stays good up to this moment.")

witness.add("try", "Submit the newest checkpoint of every log at once, and say what each witness answered.")

artifacts.add("rotate-key", "Wrap the data key of every workspace by the key that the config names now.")
artifacts.add(
    "encrypt",
    "Seal the artifacts that were kept before encryption was switched on; asked again, it goes on where it was.",
    click.Option(["--seconds"], type=click.IntRange(1), default=600, show_default=True, help="For how long at most."),
)
