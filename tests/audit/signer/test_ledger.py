"""The signer signs what continues its last signature and nothing else, also through kills. B10"""

import signal
import sqlite3
import subprocess
import sys
from itertools import pairwise

import pytest

from failgate.audit.checkpoint import NoteRejected, open_checkpoint
from failgate.audit.handover import HANDOVERS_FILE
from failgate.audit.signer.ledger import LEDGER_FILE, NEXT_KEY_FILE, open_ledger
from failgate.audit.signer.messages import Wanted
from failgate.audit.signing import KEY_FILE, Signer, make_key
from failgate.base.clock import FrozenClock
from failgate.base.errors import Conflict, NotFound, StartRefused
from tests.audit.signer.conftest import WS, Tree


def test_every_head_that_continues_the_last_one_is_signed(folder):
    tree = Tree(70)
    with open_ledger(folder) as ledger:
        for old, size in pairwise([0, 1, 2, 3, 7, 8, 8, 33, 64, 65, 70]):
            [outcome] = ledger.sign([tree.wanted(old, size)])
            assert open_checkpoint(outcome.note, [ledger.signer.verifier(WS)]).root == tree.root(size)
        assert outcome.note.startswith(f"failgate.example/log/{WS}\n70\n")
        assert [(one.log, one.size, one.root) for one in ledger.heads()] == [(WS, 70, tree.root(70))]


@pytest.mark.parametrize("fork", range(0, 33, 4))
def test_a_fork_is_refused_at_every_size(folder, fork):
    tree, other = Tree(33), Tree(64, "other", fork)
    with open_ledger(folder) as ledger:
        ledger.sign([tree.wanted(0, 33)])
        for size in range(33, 65):
            [outcome] = ledger.sign([other.wanted(33, size)])
            assert (outcome.note, outcome.behind) == (None, None)
            assert "does not begin with the 33 that were signed" in outcome.refused
        assert ledger.heads()[0].root == tree.root(33)


@pytest.mark.parametrize("old", [0, 3, 5, 33])
def test_a_shorter_log_is_refused_whatever_it_says_of_before(folder, old):
    tree = Tree(33)
    with open_ledger(folder) as ledger:
        ledger.sign([tree.wanted(0, 33)])
        for size in (0, 5, 32):
            [outcome] = ledger.sign([Wanted(WS, size, tree.root(size), old, ())])
            assert outcome.refused == f"The log {WS} has {size} records, but 33 were signed."


def test_who_knows_an_older_head_is_told_the_last_one_and_a_wrong_proof_is_none(folder):
    tree = Tree(40)
    with open_ledger(folder) as ledger:
        ledger.sign([tree.wanted(0, 33)])
        assert ledger.sign([tree.wanted(20, 40)])[0].behind == 33
        right = tree.wanted(33, 40)
        for proof in ((), right.proof[:-1], (*right.proof, bytes(32)), (bytes(32), *right.proof[1:])):
            assert ledger.sign([Wanted(WS, 40, right.root, 33, proof)])[0].refused
        assert ledger.sign([Wanted(WS, 0, bytes(32), 0, ())])[0].refused
        assert ledger.sign([Wanted("other", 0, bytes(32), 0, ())])[0].refused == "The empty log other has another root."
        assert ledger.sign([right])[0].note


def test_of_one_question_the_second_head_sees_the_first(folder):
    tree, other = Tree(9), Tree(9, "other")
    with open_ledger(folder) as ledger:
        first, second, third = ledger.sign([tree.wanted(0, 9), other.wanted(0, 9), other.wanted(0, 9, "system")])
        assert (bool(first.note), second.behind, bool(third.note)) == (True, 9, True)


def test_there_is_a_last_log(folder):
    tree = Tree(2)
    with open_ledger(folder) as ledger:
        ledger._limit = 2
        outcomes = ledger.sign([tree.wanted(0, 1, name) for name in ("a", "b", "c")])
        assert [bool(one.note) for one in outcomes] == [True, True, False]
        assert ledger.sign([tree.wanted(1, 2, "a")])[0].note


def test_nothing_is_signed_that_is_not_kept(folder):
    """As on a full disk: the file takes no page more."""
    with open_ledger(folder) as ledger:
        ledger._connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            ledger.sign([Tree(1).wanted(0, 1, f"log-{number}") for number in range(512)])
        assert ledger.heads() == []


def test_one_process_holds_the_folder_and_nobody_else_reads_it(folder):
    with open_ledger(folder), pytest.raises(StartRefused, match="Another signer"), open_ledger(folder):
        pass
    (folder / KEY_FILE).chmod(0o640)
    with pytest.raises(StartRefused, match="open to other users"), open_ledger(folder):
        pass
    (folder / KEY_FILE).chmod(0o600)
    folder.chmod(0o750)
    with pytest.raises(StartRefused, match="open to other accounts"), open_ledger(folder):
        pass
    with pytest.raises(StartRefused, match="There is no signer"), open_ledger(folder / "none"):
        pass


def test_a_damaged_ledger_signs_nothing(folder):
    (folder / LEDGER_FILE).write_bytes(b"SQLite format 3\x00" + bytes(4096))
    with pytest.raises(StartRefused, match="damaged"), open_ledger(folder):
        pass


def test_what_is_forgotten_is_kept_aside(folder):
    tree, other = Tree(9), Tree(4, "other")
    with open_ledger(folder) as ledger:
        ledger.sign([tree.wanted(0, 9)])
        assert ledger.forget(WS, FrozenClock()).size == 9
        assert ledger.sign([other.wanted(0, 4)])[0].note
        [row] = ledger._connection.execute("SELECT log, size, root FROM forgotten").fetchall()
        assert row == (WS, 9, tree.root(9))
        with pytest.raises(NotFound):
            ledger.forget("system", FrozenClock())


def test_the_key_that_waits_takes_over_and_the_old_one_says_up_to_where_it_signed(folder):
    tree = Tree(20)
    with open_ledger(folder) as ledger:
        [before] = ledger.sign([tree.wanted(0, 9)])
        with pytest.raises(Conflict, match="No such key"):
            ledger.hand_over("00" * 32)
        old, fresh = ledger.signer, make_key(folder / NEXT_KEY_FILE).public_key().public_bytes_raw()
        assert ledger.known().following == fresh.hex()
        ledger.hand_over(fresh.hex())
        ledger.hand_over(fresh.hex())  # asked again after a kill of the server
        assert (ledger.signer.public, ledger.known().following) == (fresh, None)
        assert ledger.signer.signed(WS, before.note).size == 9
        [again] = ledger.sign([tree.wanted(9, 9)])
        assert open_checkpoint(again.note, [ledger.signer.verifier(WS)]).size == 9
        forged = Signer(old.key, "failgate.example").checkpoint(WS, 10, tree.root(10))
        with pytest.raises(NoteRejected, match="retired"):
            ledger.signer.signed(WS, forged)


KILLED = """
import os, signal, sys
from pathlib import Path
import failgate.audit.signer.ledger as room
from failgate.audit.signing import make_key
from tests.audit.signer.conftest import Tree

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

place, folder = sys.argv[1], Path(sys.argv[2])
with room.open_ledger(folder) as ledger:
    tree = Tree(20)
    ledger.sign([tree.wanted(0, 9)])
    fresh = make_key(folder / room.NEXT_KEY_FILE).public_key().public_bytes_raw().hex()
    if place == "judged":
        kept = ledger._judge
        ledger._judge = lambda one: (kept(one), die())
    elif place == "committed":
        room.Ledger.__dict__  # the signature is made after the commit
        object.__setattr__(ledger, "signer", type("Dead", (), {"checkpoint": die})())
    elif place == "listed":
        room.sync_folder = die
    elif place == "moved":
        Path.replace_ = Path.replace
        Path.replace = lambda one, to: (one.replace_(to), die() if one.name == room.NEXT_KEY_FILE else None)
    if place in {"judged", "committed"}:
        ledger.sign([tree.wanted(9, 20)])
    else:
        ledger.hand_over(fresh)
"""


@pytest.mark.parametrize(
    ("place", "size", "is_new"),
    [("judged", 9, False), ("committed", 20, False), ("listed", 9, True), ("moved", 9, True)],
)
def test_a_kill_anywhere_leaves_a_signer_that_goes_on(folder, place, size, is_new):
    with open_ledger(folder) as ledger:
        old = ledger.signer.public
    done = subprocess.run([sys.executable, "-c", KILLED, place, str(folder)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    other = Tree(20, "other", 12)
    with open_ledger(folder) as ledger:
        assert [one.size for one in ledger.heads()] == [size]
        assert (ledger.signer.public != old) is is_new
        assert (folder / NEXT_KEY_FILE).exists() is not is_new
        assert (folder / HANDOVERS_FILE).exists() is is_new
        # what may have been signed before the kill is not contradicted after it
        outcome = ledger.sign([other.wanted(size, 20)])[0]
        assert bool(outcome.note) is (size == 9)
