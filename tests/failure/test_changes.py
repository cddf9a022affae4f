"""Diffs as git writes them, and worse ones."""

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from failgate.failure.changes import changes

DIFF = """\
diff --git a/shop/prices.py b/shop/prices.py
index 1111111..2222222 100644
--- a/shop/prices.py
+++ b/shop/prices.py
@@ -10,4 +10,5 @@ def total(items):
     first
-    gone
+    come
+--- not a header
     last
\\ No newline at end of file
diff --git a/logo.png b/logo.png
Binary files a/logo.png and b/logo.png differ
diff --git a/old name.txt b/new name.txt
similarity index 100%
rename from old name.txt
rename to new name.txt
"""


def test_files_hunks_and_numbers() -> None:
    prices, logo, renamed = changes(DIFF.splitlines())
    assert (prices.path, prices.added, prices.removed) == ("shop/prices.py", 2, 1)
    (hunk,) = prices.hunks
    assert hunk.section == "def total(items):"
    assert [(line.kind, line.old, line.new) for line in hunk.lines] == [
        ("same", 10, 10),
        ("remove", 11, None),
        ("add", None, 11),
        ("add", None, 12),
        ("same", 12, 13),
        ("note", None, None),
    ]
    assert logo.is_binary
    assert logo.path == "logo.png"
    assert (renamed.old_path, renamed.path) == ("old name.txt", "new name.txt")


def test_what_git_really_writes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\nthree\n")
    (tmp_path / "b.txt").write_text("one\n-- two\nthree\n")
    done = subprocess.run(
        ["git", "diff", "--no-index", "--no-color", "a.txt", "b.txt"], cwd=tmp_path, capture_output=True, text=True
    )
    (change,) = changes(done.stdout.splitlines())
    assert change.path == "b.txt"
    assert [line.text for line in change.hunks[0].lines if line.kind == "remove"] == ["two"]
    assert [line.text for line in change.hunks[0].lines if line.kind == "add"] == ["-- two"]


@given(
    st.lists(
        st.sampled_from(
            ["diff --git a/x b/x", "--- a/x", "+++ b/x", "@@ -1,2 +1,3 @@", "+a", "-b", " c", "", "\\ x", "?"]
        )
    )
)
def test_no_text_is_refused(rows: list[str]) -> None:
    for change in changes(rows):
        assert change.added == sum(line.kind == "add" for hunk in change.hunks for line in hunk.lines)
