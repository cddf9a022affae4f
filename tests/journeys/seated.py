"""People who are there and signed in without a password that was hashed: for a crowd, of whom nobody tests the sign-in.

Each hash costs a tenth of a second of CPU, for the account and for the sign-in alike.
"""

import hashlib
import time
from collections.abc import Sequence

import bcrypt

from failgate.accounts.session import SessionToken
from failgate.base.ids import new_id
from tests.journeys import team
from tests.journeys.harness import Server
from tests.journeys.team import PASSWORD, Person, Visitor


def newcomer(server: Server, name: str, role: str | None = None, *, with_totp: bool = True) -> Person:
    """Make an account as `team.person` does; its password is that of all, in the cheapest hash that is taken over."""
    email = f"{name}@acme.example"
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    made = team.admin(server, "user.import", email=email, password_hash=hashed, with_totp=with_totp)
    if role is not None:
        team.admin(server, "workspace.add_member", workspace="acme", email=email, role=role)
    return Person(email, made["user"], made.get("totp_secret"))


def seated(server: Server, people: Sequence[Person]) -> list[Visitor]:
    """Return a browser of each, with a session that is put into the database; who has a second factor has shown it."""
    rows, values, visitors = [], [], []
    now = str(time.time_ns() // 1000)
    for who in people:
        token, visitor = SessionToken.mint(), team.stranger(server, origin=server.url)
        for name, value in (("fg_session", token), ("fg_fresh", token.fresh)):
            visitor.cookies.set(name, value, domain=visitor.base_url.host)
        at, proven = len(values), (now, '["pwd", "otp"]') if who.totp is not None else ("NULL", '["pwd"]')
        rows.append(
            f"(${at + 1}, ${at + 2}, ${at + 3}, ${at + 4}, {now}, {now}, {now}, {proven[0]}, 0, '{proven[1]}',"
            " '127.0.0.1', '')"
        )
        values += [new_id(), who.id, *(hashlib.sha256(text.encode()).hexdigest() for text in (token, token.fresh))]
        visitors.append(visitor)
    team.sql(
        server,
        "INSERT INTO session (id, account_id, token_sha256, fresh_sha256, opened_us, seen_us, first_factor_us, second_factor_us,"
        f" awaits_second_factor, auth, address, user_agent) VALUES {', '.join(rows)}",
        *values,
    )
    return visitors
