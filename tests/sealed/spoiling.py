"""Files of vectors whose cases are sound ones, spoiled at random places by a fixed seed: two verifiers say the same."""

import base64
import copy
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from failgate.base.canonical import base64url, canonical, digest_of
from failgate.base.errors import Unprocessable
from failgate.sealed.keys import SealingKey, SigningKey
from failgate.sealed.sealing import PROTECTED, padded
from failgate.sealed.signing import header_of
from tests.sealed.parties import ROOTS, vector_file

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
FOREIGN = "=+/ \n.é\U0001f600\x00"
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 2**53 - 1, 2**53, 10**400, "", "x", "\x00", "\ud800", "é", "a b", "a" * 128,
    "a" * 129, "A" * 43, "A" * 44, "/" * 4096, "/" * 4097, "\U0001f600" * 3000, [], {}, [[]], {"__proto__": 1},
    "deny", "approve", "native", "webauthn", "reviewer", ["reviewer"], "2", 2, 256,
]  # fmt: skip
TOKENS = {"jwe": "jwe", "decisions": "jws", "manifests": "chain", "receipts": "jws", "keys": "jwk"}


def spoiled_tokens(seed: int, each: int) -> dict[str, Any]:
    """Return a file with `each` spoiled cases of every subject: letters flipped, cut, taken away, values replaced."""
    chance = random.Random(seed)
    file = copy.deepcopy(vector_file())
    for subject, member in TOKENS.items():
        sound = file.pop(f"positive_{subject}")
        file.pop(f"negative_{subject}")
        made = []
        for number in range(each):
            entry = copy.deepcopy(sound[number % len(sound)])
            holder = {member: entry[member]}
            how = spoil(chance, holder, [member])
            made.append({**entry, "case": f"{subject} {number}: {how}", member: holder.get(member)})
        file[f"negative_{subject}"] = made
    return file


def spoil(chance: random.Random, holder: Any, path: list[Any]) -> str:
    """Change one place in the tree below `path` of `holder`; return which and how."""
    place, step = holder, path[0]
    while isinstance(place[step], dict | list) and place[step] and chance.random() < 0.85:
        place = place[step]
        step = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        path = [*path, step]
    found = place[step]
    if isinstance(found, str) and found and chance.random() < 0.8:
        how, place[step] = _respelled(chance, found)
    elif isinstance(found, list) and len(found) > 1 and chance.random() < 0.6:
        how = "in another order, or longer"
        place[step] = [*found, chance.choice(found)] if chance.random() < 0.4 else chance.sample(found, len(found))
    elif isinstance(found, dict) and found and chance.random() < 0.7:
        name = chance.choice(list(found))
        how = f"without or beside {name}"
        place[step] = (
            {**found, f"{name}x": 1} if chance.random() < 0.5 else {n: v for n, v in found.items() if n != name}
        )
    else:
        how, place[step] = "another value", chance.choice(ODD)
    return f"{'.'.join(map(str, path))} {how}"


def _respelled(chance: random.Random, text: str) -> tuple[str, str]:
    at = chance.randrange(len(text))
    return chance.choice(
        [
            ("flipped", text[:at] + chance.choice(LETTERS) + text[at + 1 :]),
            ("last letter", text[:-1] + LETTERS[(LETTERS.find(text[-1]) + 1) % 64]),
            ("cut", text[:at]),
            ("cut in front", text[at:]),
            ("one less", text[:at] + text[at + 1 :]),
            ("foreign letter", text[:at] + chance.choice(FOREIGN) + text[at:]),
            ("padding", text + "=" * chance.randrange(1, 3)),
            ("longer", text + chance.choice(LETTERS) * chance.randrange(1, 5)),
            ("bit", _other_bit(chance, text)),
        ]
    )


def _other_bit(chance: random.Random, text: str) -> str:
    """Return `text` with one bit of what one of its base64url parts spells turned."""
    parts = text.split(".")
    number = chance.randrange(len(parts))
    try:
        content = bytearray(_octets(parts[number]))
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    except (ValueError, IndexError):
        return text[::-1]
    parts[number] = base64url(bytes(content))
    return ".".join(parts)


def signed_nonsense(seed: int, each: int) -> dict[str, Any]:
    """Return a file with `each` cases of payloads that were spoiled before the right keys signed (and sealed) them."""
    chance = random.Random(seed)
    file = copy.deepcopy(vector_file())
    for subject in TOKENS:
        file.pop(f"positive_{subject}")
        file.pop(f"negative_{subject}")
    roots = {"keys": sorted(one.jkt for one in ROOTS[:2]), "m": 2}
    file["root_keys"] = [one.public_jwk() for one in ROOTS]
    file["manifest_prev_payload"] = {**file["manifest_prev_payload"], "roots": roots}
    makers: dict[str, tuple[str, Callable[[], Iterator[Any]]]] = {
        "jwe": ("jwe", lambda: _commands(chance, file)),
        "decisions": ("jws", lambda: _decisions(chance, file)),
        "manifests": ("chain", lambda: _manifests(chance, file, roots)),
        "receipts": ("jws", lambda: _receipts(chance, file)),
    }
    for subject, (member, made) in makers.items():
        endless = made()
        file[f"negative_{subject}"] = [{"case": f"{subject} {number}", member: next(endless)} for number in range(each)]
    return file


def _commands(chance: random.Random, file: dict[str, Any]) -> Iterator[Any]:
    agent = SigningKey.from_jwk(file["agent_sig_key"])
    public = [{name: one[name] for name in ("e", "kty", "n")} for one in file["reviewer_enc_keys"]]
    readers = [SealingKey.from_jwk(one) for one in public]
    while True:
        aad = base64url(canonical(file["ctx"]))
        payload = _nonsense(chance, {"cmd": file["cmd"], "ctx": file["ctx"]})
        if chance.random() < 0.4:  # the right digest of a wrong command
            cmd = copy.deepcopy({"cmd": file["cmd"]})
            spoil(chance, cmd, ["cmd"])
            try:
                ctx = {**file["ctx"], "commit": digest_of(cmd.get("cmd"))}
                payload, aad = canonical({**cmd, "ctx": ctx}), base64url(canonical(ctx))
            except Unprocessable:  # what has no canonical form is in the other half
                continue
        token = _token(payload, "failgate-cmd+jws", agent)
        if len(token) > 60_000:
            continue
        content = bytearray(padded(token))
        if chance.random() < 0.1:
            content[-chance.randrange(1, 1500)] = chance.choice(b"=.x\xff")
        key, iv = chance.randbytes(32), chance.randbytes(12)
        out = AESGCM(key).encrypt(iv, bytes(content), f"{PROTECTED}.{aad}".encode())
        recipients = [
            {"encrypted_key": base64url(one.wrap(key)), "header": {"alg": "RSA-OAEP-256", "kid": one.jkt}}
            for one in readers
        ]
        yield {
            "aad": aad, "ciphertext": base64url(out[:-16]), "iv": base64url(iv), "protected": PROTECTED,
            "recipients": recipients, "tag": base64url(out[-16:]),
        }  # fmt: skip


def _decisions(chance: random.Random, file: dict[str, Any]) -> Iterator[Any]:
    signers = [SigningKey.from_jwk(one) for one in file["reviewer_sig_keys"]]
    sound = [_payload(token) for token in file["decision_approve"] if isinstance(token, str)]
    sound = sound or [_payload(file["decision_deny"])]
    while True:
        one = chance.choice(sound)
        yield [
            _token(_nonsense(chance, one), "failgate-decision+jws", signers[0]),
            *([] if chance.random() < 0.5 else file["decision_approve"][1:]),
        ]


def _receipts(chance: random.Random, file: dict[str, Any]) -> Iterator[Any]:
    agent = SigningKey.from_jwk(file["agent_sig_key"])
    sound = _payload(vector_file()["positive_receipts"][0]["jws"])
    while True:
        yield _token(_nonsense(chance, sound), "failgate-receipt+jws", agent)


def _manifests(chance: random.Random, file: dict[str, Any], roots: dict[str, Any]) -> Iterator[Any]:
    sound = {**file["manifest_payload"], "roots": roots, "prev": digest_of(file["manifest_prev_payload"])}
    while True:
        encoded = base64url(_nonsense(chance, sound))
        signatures = []
        for signer in chance.sample(ROOTS[:2] if chance.random() < 0.8 else ROOTS, 2):
            protected = header_of(signer.jkt, "failgate-keys+jws")
            signature = base64url(signer.sign(f"{protected}.{encoded}".encode()))
            signatures.append({"protected": protected, "signature": signature})
        yield [{"payload": encoded, "signatures": signatures}]


def _payload(token: str) -> dict[str, Any]:
    return json.loads(_octets(token.split(".")[1]))


def _token(payload: bytes, typ: str, signer: SigningKey) -> str:
    signed = f"{header_of(signer.jkt, typ)}.{base64url(payload)}"
    return f"{signed}.{base64url(signer.sign(signed.encode()))}"


def _nonsense(chance: random.Random, sound: dict[str, Any]) -> bytes:
    """Return the bytes of `sound`, sometimes as they are, else with another value, in another spelling, or damaged."""
    held = {"payload": copy.deepcopy(sound)}
    kind = chance.random()
    if kind < 0.6:
        spoil(chance, held, ["payload"])
        return json.dumps(held["payload"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
            errors="surrogatepass"
        )
    text = json.dumps(sound, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    name = chance.choice(list(sound))
    at = chance.randrange(1, len(text))
    spelled = chance.choice(
        [
            text,
            text.replace(",", ", ", 1),
            text.replace("{", f'{{"{name}":1,', 1),
            text.replace('"v":1', '"v":1.0'),
            text.replace('"v":1', '"v":1e0'),
            text.replace('"v":1', '"v":01'),
            text.replace('"v":1', '"v":NaN'),
            text.replace('"v":1', f'"v":{"9" * 5000}'),
            text.replace('"typ"', '"t\\u0079p"'),
            text[:at],
            text[:at] + chance.choice(FOREIGN) + text[at:],
            "\ufeff" + text,
            text + "\n",
            "[" * 3000,
            json.dumps([sound]),
            json.dumps(sound, separators=(",", ":")),
        ]
    ).encode()
    if chance.random() < 0.2:
        damaged = bytearray(spelled)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        return bytes(damaged)
    return spelled


def edges() -> dict[str, Any]:
    """Return a file of cases that chance hardly finds: each is about one rule alone, and sound but for it."""
    file = copy.deepcopy(vector_file())
    pair = next(one for one in file["positive_decisions"] if one["case"].endswith("browser + webauthn"))["jws"]
    [plain] = [one for one in pair if isinstance(one, str)]
    [passkey] = [one for one in pair if isinstance(one, dict)]
    receipt = _payload(file["positive_receipts"][0]["jws"])
    for name in [one for one in file if one.startswith(("positive_", "negative_"))]:
        del file[name]
    ctx, manifest = file["ctx"], file["manifest_payload"]
    signers = {one["kid"]: SigningKey.from_jwk(one) for one in [*file["reviewer_sig_keys"], file["agent_sig_key"]]}
    agent, signer = signers[file["agent_sig_key"]["kid"]], signers[passkey["kid"]]
    author = signers[json.loads(_octets(plain.partition(".")[0]))["kid"]]

    def decided(one: object, **state: Any) -> dict[str, Any]:
        return {"jws": one, "state": state}

    said = _payload(plain)
    decisions = [decided(pair), decided(pair, used=[said["jti"]]), decided(pair, used=[ctx["cid"]])]
    decisions += [
        decided([_token(canonical({**said, **change}), "failgate-decision+jws", author), passkey])
        for change in (
            {"exp": ctx["exp"]}, {"exp": ctx["exp"] + 1}, {"exp": said["iat"] - 1}, {"iat": ctx["iat"] - 30},
            {"iat": ctx["iat"] - 31}, {"jti": _payload(f".{passkey['payload']}.")["jti"]}, {"note_sha256": "AA"},
        )
    ]  # fmt: skip
    spelled = [_octets(passkey["webauthn"]["signature"])]
    length, r = spelled[0][1], spelled[0][4 : 4 + spelled[0][3]]
    spelled += [
        spelled[0] + b"\x00",
        b"\x30\x81" + spelled[0][1:],
        bytes([0x30, length + 1, 2, len(r) + 1, 0]) + spelled[0][4:],
        bytes([0x31]) + spelled[0][1:],
        b"\x30\x06\x02\x01\x00\x02\x01\x01",
        spelled[0][:20],
        b"\x30",
        b"",
    ]
    for one in spelled:
        decisions.append(
            decided([plain, {**passkey, "webauthn": {**passkey["webauthn"], "signature": base64url(one)}}])
        )
    data = json.loads(_octets(passkey["webauthn"]["clientDataJSON"]))
    found = _octets(passkey["webauthn"]["authenticatorData"])
    for more in ({}, {"topOrigin": "x"}, {"crossOrigin": True}, {"crossOrigin": None}, {"type": "webauthn.create"}):
        decisions.append(decided([plain, _assertion(passkey, signer, json.dumps({**data, **more}).encode(), found)]))
    text = json.dumps(data)[1:]
    for spelling in (
        '{"x":NaN,',
        '{"x":1e9,',
        '{"x":-Infinity,',
        '{"x":1,"x":1,',
        '{"x":"\\ud800",',
        "\ufeff{",
        '{"x":01,',
    ):
        decisions.append(decided([plain, _assertion(passkey, signer, (spelling + text).encode(), found)]))
    flagged = found[:32] + bytes([found[32] | 0x80]) + found[33:]
    for more_data in (
        b"\xa0",
        b"\xa1\x61a\xf5",
        b"\xa0\x00",
        b"\xbf\xff",
        b"\xa1\x61a\x1c",
        b"\xa1\x61a\x9b" + b"\xff" * 8,
        b"",
        b"\x80",
    ):
        content = json.dumps(data).encode()
        decisions.append(decided([plain, _assertion(passkey, signer, content, flagged + more_data)]))
    for flags in (0x01, 0x04, 0x05, 0x0D, 0x15, 0x1D, 0x45):
        content = found[:32] + bytes([flags]) + found[33:]
        decisions.append(decided([plain, _assertion(passkey, signer, json.dumps(data).encode(), content)]))
    for policy in ({"need": 2.0}, {"v": True}, {"require": {"foreign": 1}}, {"require": {"native": 0}}, {"need": 1001}):
        decisions.append(decided(pair, policy={**file["policy"], **policy}))
    for change in (
        {"agents": sorted([agent.jkt, manifest["roots"]["keys"][0]])}, {"agents": []}, {"agents": [1]},
        {"policies": {"__proto__": file["ctx"]["policy"]}}, {"exp": manifest["iat"] + 604_801}, {"iat": 1.0},
    ):  # fmt: skip
        decisions.append(decided(pair, manifest={**manifest, **change}))
    receipts = [{**receipt, "started": ctx["exp"] + by, "ended": ctx["exp"] + 9} for by in (0, 1)]
    receipts += [{**receipt, "started": ctx["iat"] - by} for by in (30, 31)]
    receipts += [{**receipt, "exit": number} for number in (255, 256)] + [{**receipt, "ended": receipt["started"] - 1}]
    key = {name: file["agent_sig_key"][name] for name in ("crv", "kty", "x", "y")}
    field = 2**256 - 2**224 + 2**192 + 2**96 - 1
    numbers = [field, field + 1, 2**256 - 1, 0, 5, field + 5]  # 5 is the x of a point
    keys = [{**key, "x": base64url(one.to_bytes(32, "big"))} for one in numbers]
    x5 = pow(5**3 - 15 + 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B, (field + 1) // 4, field)
    keys += [{**one, "y": base64url(x5.to_bytes(32, "big"))} for one in keys[-2:]]
    file["negative_decisions"] = [{"case": f"decisions {at}", **one} for at, one in enumerate(decisions)]
    file["negative_receipts"] = [
        {"case": f"receipts {at}", "jws": _token(canonical(one), "failgate-receipt+jws", agent)}
        for at, one in enumerate(receipts)
    ]
    file["negative_keys"] = [
        {"case": f"keys {at}", "use": "sig", "jwk": one, "jkt": digest_of(one)} for at, one in enumerate(keys)
    ]
    return file


def _assertion(passkey: dict[str, Any], signer: SigningKey, client_data: bytes, found: bytes) -> dict[str, Any]:
    """Return the decision `passkey` with other data, signed by `signer`."""
    raw = signer.sign(found + hashlib.sha256(client_data).digest())
    signature = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    made = {"authenticatorData": found, "clientDataJSON": client_data, "signature": signature}
    return {**passkey, "webauthn": {name: base64url(one) for name, one in made.items()}}


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
