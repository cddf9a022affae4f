"""Where a path leads, by its letters alone. Pure.

The server does not see the agent's disk, so `..` is never resolved but refused, and only what was attested is taken as
a real path: the folder of the call. A link below a folder is followed by whoever opens it; that is not seen here.
"""

import re
from typing import Final

MAX_PATH = 4096
# Folders of the system: a rule that says "below the folder of the call" means a project, none of these.
_SYSTEM: Final = re.compile(r"/|/(etc|proc|sys|dev|run|boot|var|root/\.[^/]*|lib|lib64|usr|bin|sbin)(/.*)?", re.DOTALL)
# Names under which secrets are kept.
_SECRET: Final = re.compile(
    r"\.(ssh|gnupg|aws|azure|kube|docker|config|netrc|pgpass|my\.cnf|npmrc|yarnrc.*|pypirc|git-credentials|gcloud|env.*|envrc"
    r"|vault-token|terraform\.d|password-store|htpasswd|gem|cargo|m2|failgate.*|bash_history|zsh_history|.*_history|git|hg|svn"
    r"|oci|s3cfg|boto|databricks.*|snowflake|kaggle|pki|local|mozilla|thunderbird|gnome.*|secrets?)"
    r"|id_(rsa|dsa|ecdsa|ed25519)(_sk)?.*|.*\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|asc|gpg|age|tfstate|tfvars)(\.backup)?"
    r"|(.*[._-])?(secrets?|credentials?|passwords?|passwd|shadow|tokens?)"
    r"([._-](txt|json|ya?ml|toml|ini|cfg|conf|env|xml|csv|db|sqlite3?|bak|old|enc|properties|d|local|prod.*|dev.*))?|authorized_keys|known_hosts|wp-config\.php"
    r"|.*\.tfstate.*|vault.*\.ya?ml|kubeconfig.*|master\.key|environ",
    re.ASCII | re.IGNORECASE,
)
_ODD: Final = re.compile(r"[\x00-\x1f\x7f:|<>*?\"'`$;&\\]|^[-+@~!=%]")


def joined(folder: str, path: str) -> str:
    """Return `path` as seen from `folder`; with a `..` in it the answer lies in no folder."""
    whole = path if path.startswith("/") else f"{folder}/{path}"
    parts = [part for part in whole.split("/") if part not in {"", "."}]
    return "/" + "/".join(parts) if ".." not in parts else "/../"


def is_real(path: str) -> bool:
    """Tell whether `path` is written as a real path is: from the root, without `.`, `..` and double slashes."""
    return path == "/" or (path.startswith("/") and not any(part in {"", ".", ".."} for part in path.split("/")[1:]))


def is_below(path: str, folder: str) -> bool:
    """Tell whether a real `path` is `folder` or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def leads_under(word: str, here: str, folder: str) -> bool:
    """Tell whether the argument `word` of a call from `here` is a path in `folder`, `.` being `here`, and no secret."""
    if not word or len(word) > MAX_PATH or _ODD.search(word) or not word.isprintable() or not is_real(here):
        return False
    if folder == ".":
        folder = joined(here, ".")
        if _SYSTEM.fullmatch(folder):
            return False
    path = joined(here, word)
    if not is_below(path, folder):
        return False
    return not any(_SECRET.fullmatch(part) for part in path[len(folder) :].split("/") if part)
