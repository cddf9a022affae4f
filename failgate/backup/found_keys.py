"""The keys of an installation: in the backup, in a folder, in place, with a secrets manager, or still to be brought."""

from dataclasses import dataclass, field
from pathlib import Path

from failgate.audit.handover import read_handovers
from failgate.audit.signing import KEY_FILE, key_in_use, log_key_of, read_key
from failgate.backup.manifest import HANDOVERS, SEALED_KEYS, Manifest, digest_of_secrets_key
from failgate.backup.sealed_keys import KEY_FILES, open_keys
from failgate.base.data_folder import SECRETS_KEY
from failgate.base.errors import BadInput
from failgate.base.secret import key_of
from failgate.config.model import Config


@dataclass(slots=True)
class Keys:
    """`kept` lie in the data folder and fit; `staged` are put there. `state` is the word for the record."""

    kept: set[str] = field(default_factory=set[str])
    staged: dict[str, bytes] = field(default_factory=dict[str, bytes])
    absent: list[str] = field(default_factory=list[str])

    @property
    def state(self) -> str:
        """Return whether all of them are there."""
        return "absent" if self.absent else "present"

    @property
    def warnings(self) -> list[str]:
        """Return what the operator has to bring before a start."""
        found: list[str] = []
        if SECRETS_KEY in self.absent:
            found.append(
                f"{SECRETS_KEY} is NOT there: an empty file stands in, over which no server starts. Copy the right one "
                "over it. If it is lost for good, remove the empty file: second factors, webhooks and connections to "
                "identity providers then have to be set up anew."
            )
        if KEY_FILE in self.absent:
            found.append(
                f"{KEY_FILE} is NOT there: no server starts without it. Copy it into the data folder. If it is lost "
                "for good, start once with --accept-rollback: the logs go on under a new key, and that is recorded."
            )
        return found


def marks_of_keys(config: Config, data_dir: Path) -> dict[str, str]:
    """Return by what the keys in use are recognised, by the names of their files: `[keys]` comes before a file.

    Raises: StartRefused (a file that cannot be read, or holds another key than `[keys]`).
    """
    found = _marks_of_manager(config)
    kept = read_handovers(data_dir / HANDOVERS) if config.audit.signer is not None else None
    if kept is not None:  # the signer's public key, as the server keeps it
        found[KEY_FILE] = kept.current.hex()
    signing = key_in_use(data_dir / KEY_FILE, log_key_of(config.keys.log))
    if signing is not None:
        found[KEY_FILE] = signing.public_key().public_bytes_raw().hex()
    if SECRETS_KEY not in found and (data_dir / SECRETS_KEY).exists():
        found[SECRETS_KEY] = digest_of_secrets_key(_read(data_dir / SECRETS_KEY))
    return found


def _marks_of_manager(config: Config) -> dict[str, str]:
    found: dict[str, str] = {}
    signing = log_key_of(config.keys.log)
    if signing is not None:
        found[KEY_FILE] = signing.public_key().public_bytes_raw().hex()
    if config.keys.sealing is not None:
        found[SECRETS_KEY] = digest_of_secrets_key(key_of(config.keys.sealing))
    return found


def find_keys(
    manifest: Manifest, config: Config, data_dir: Path, folder: Path | None, passphrase: str | None, members: Path
) -> Keys:
    """Return which keys there are: those of `[keys]`, from `folder`, from the backup by `passphrase`, in `data_dir`.

    Raises: BadInput (a key of another installation, a wrong passphrase, a key without one).
    """
    elsewhere = _marks_of_manager(config)
    _check_manager(manifest, elsewhere)
    given = _given(manifest, folder, passphrase, members)
    found = Keys()
    for name in KEY_FILES:
        if name == KEY_FILE and config.audit.signer is not None:
            found.kept |= {name, HANDOVERS}  # the next start compares all with the signer, and takes its list of keys
        elif name in elsewhere:
            found.kept.add(name)
        elif name in given:
            if not _fits(manifest, name, given[name], members):
                raise BadInput(f"The {name} that was given is not that of the backup.", hint="Bring the right one.")
            found.staged[name] = given[name]
        elif (data_dir / name).exists() and _fits(manifest, name, _read(data_dir / name), members):
            found.kept.add(name)
        elif name == KEY_FILE and _took_over(manifest, data_dir):
            found.kept |= {name, HANDOVERS}  # it signed on after that of the backup
        elif name == SECRETS_KEY and (old := data_dir / f"{name}.{manifest.secrets_key}").exists():
            found.staged[name] = _checked(manifest, old, members)
        else:
            found.absent.append(name)
    if SECRETS_KEY in found.absent:
        found.staged[SECRETS_KEY] = b""  # a server makes a new key where there is none, and refuses an empty one
    return found


def _check_manager(manifest: Manifest, marks: dict[str, str]) -> None:
    wanted = {KEY_FILE: manifest.public_key, SECRETS_KEY: manifest.secrets_key}
    for name, mark in marks.items():
        if mark != wanted[name]:
            setting = "log" if name == KEY_FILE else "sealing"
            raise BadInput(
                f"[keys] {setting} is not the {name} of the backup.", hint="Let the manager give the key of that day."
            )


def _given(manifest: Manifest, folder: Path | None, passphrase: str | None, members: Path) -> dict[str, bytes]:
    given: dict[str, bytes] = {}
    if passphrase is not None:
        if manifest.keys != "sealed":
            raise BadInput("The backup holds no keys.", hint="Give a folder that does: --keys DIR.")
        given = open_keys((members / SEALED_KEYS).read_bytes(), passphrase, manifest.id)
    if folder is not None:
        given |= {name: _read(folder / name) for name in KEY_FILES if (folder / name).exists()}
        if not given:
            raise BadInput(f"There is neither audit.key nor secrets.key in {folder}.", hint="Name their folder.")
    return given


def _took_over(manifest: Manifest, data_dir: Path) -> bool:
    """Tell whether the log key of the folder took over from that of the backup, at whatever remove."""
    handovers, key = read_handovers(data_dir / HANDOVERS), read_key(data_dir / KEY_FILE)
    if handovers is None or key is None or handovers.current != key.public_key().public_bytes_raw():
        return False
    return manifest.public_key in {one.public.hex() for one in handovers.retired}


def _checked(manifest: Manifest, path: Path, members: Path) -> bytes:
    octets = _read(path)
    if not _fits(manifest, SECRETS_KEY, octets, members):
        raise BadInput(f"{path} is not the key that its name says.", hint="Bring the right one with --keys DIR.")
    return octets


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", hint="Check its owner.") from error


def _fits(manifest: Manifest, name: str, octets: bytes, members: Path) -> bool:
    if name == SECRETS_KEY:
        return digest_of_secrets_key(octets) == manifest.secrets_key
    scratch = members / KEY_FILE
    scratch.touch(mode=0o600)
    scratch.write_bytes(octets)
    try:
        key = read_key(scratch)
    finally:
        scratch.unlink()
    return key is not None and key.public_key().public_bytes_raw().hex() == manifest.public_key
