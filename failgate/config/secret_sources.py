"""Where a secret of the config comes from: one of four places, none of which is the config file itself.

- `{ env = "NAME" }`: a variable of the environment.
- `{ file = "/path" }`: a file that holds it alone.
- `{ credential = "name" }`: what systemd decrypted and keeps for this service alone (`LoadCredentialEncrypted=`).
- `{ command = ["vault", "kv", "get", …] }`: what a secrets manager's own client prints.

Each is read when the config is: a manager that cannot be asked then refuses the start. Passwords of the database and of
the mail server are read again at each new connection.
Source: ASVS 5.0 13.3.1; systemd.exec(5), CREDENTIALS.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

MEND: Final = (
    'say { env = "NAME" }, { file = "/path" }, { credential = "name" } or { command = ["program", "argument"] }'
)
LIMIT_BYTES: Final = 64 * 1024
COMMAND_SECONDS: Final = 30
_CREDENTIAL: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}", re.ASCII)


def secret_from(value: object, env: Mapping[str, str], folder: Path) -> str:
    """Return the secret that `value` names; relative paths start at `folder`.

    Raises: ValueError, saying what is wrong and never what was read.
    """
    if not isinstance(value, dict):
        raise ValueError(f"a secret does not stand in this file: {MEND}")  # noqa: TRY004  # a refusal of a setting
    match cast("dict[str, object]", value):
        case {"env": str(name), **rest} if not rest:
            text = env.get(name)
            if not text:
                raise ValueError(f"the environment variable {name} is not set, or empty")
            return text
        case {"file": str(name), **rest} if not rest:
            return _read(folder / Path(name).expanduser())
        case {"credential": str(name), **rest} if not rest:
            return _read(_credential(name, env))
        case {"command": [*words], **rest} if not rest and words and all(isinstance(word, str) for word in words):
            return _asked(cast("list[str]", words), env)
        case _:
            raise ValueError(f"a secret comes from one place: {MEND}")


def _credential(name: str, env: Mapping[str, str]) -> Path:
    if not _CREDENTIAL.fullmatch(name) or name in {".", ".."}:
        raise ValueError("a credential's name has letters, digits, dots, hyphens and underscores")
    folder = env.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise ValueError(
            f"there are no credentials: say LoadCredentialEncrypted={name}:/path in the service that starts this"
        )
    return Path(folder) / name


def _asked(words: list[str], env: Mapping[str, str]) -> str:
    """Return what the program prints; it gets no input, and what it complains of goes to where ours does."""
    program = shutil.which(words[0], path=env.get("PATH", os.defpath))
    if program is None:
        raise ValueError(f"the program {words[0]} is not there, or not in PATH")
    try:
        done = subprocess.run(  # noqa: S603 - words of the operator's config, no shell
            [program, *words[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=dict(env), check=False,
            timeout=COMMAND_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ValueError(f"the program {words[0]} did not answer within {COMMAND_SECONDS} seconds") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"the program {words[0]} cannot be started: {error}") from None
    if done.returncode != 0:
        raise ValueError(f"the program {words[0]} ended with {done.returncode}")
    return _text_of(done.stdout, f"what the program {words[0]} printed")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise ValueError(f"the secret file {path} cannot be read: {os.strerror(error.errno or 0)}") from None
    return _text_of(content, f"the secret file {path}")


def _text_of(content: bytes, what: str) -> str:
    if len(content) > LIMIT_BYTES:
        raise ValueError(f"{what} is larger than 64 KiB: it does not hold a secret alone")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{what} is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError(f"{what} is empty")
    return text
