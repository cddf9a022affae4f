"""What Failgate itself issues: tokens, and the links that let somebody in."""

from failgate.redaction.judgement import is_opaque
from failgate.redaction.rules import Rule

_A = "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfT"  # 32 letters and digits of no meaning

OURS: tuple[Rule, ...] = (
    Rule(
        "failgate-token",
        "Token that Failgate issued",
        ("fg_",),
        r"fg_(?:usr|agt|ref|scim|inv|rst|shr|dev)_[A-Za-z0-9_\-]{20,120}",
        matches=(f"fg_usr_{_A[:22]}_{_A}{_A[:11]}_0k3x1z", f"Bearer fg_agt_{_A[:12]}_{_A}_a1B2c3"),
        rejects=(
            "fg_usr_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "cfg_usr_the_name_of_a_setting_of_a_program",
            "fg_usr_<id>_<secret>_<crc>",
        ),
        entropy=3.2,
    ),
    Rule(
        "failgate-link",
        "Link that lets somebody in",
        ("?token=", "&token=", "#setup.", "#signin."),
        r"(?:[?&]token=|#(?:setup|signin)\.)([A-Za-z0-9_.~%\-]{16,512})",
        matches=(
            f"/setup?token={_A}{_A[:11]}",
            f"/link#setup.{_A}{_A[:11]}",
            f"GET /signin?next=/w/acme/queue&token={_A} HTTP/1.1",
        ),
        rejects=("?token=<token>", "&token=$TOKEN", "/invite?token=the-token-of-it"),
        group=1,
        is_bounded=False,
        entropy=3.2,
        judge=is_opaque,
    ),
)
