"""Where a path leads by its letters."""

import pytest

from failgate.matching.paths import MAX_PATH, is_below, is_real, joined, leads_under


@pytest.mark.parametrize(
    "word",
    [
        "a",
        "a/b.txt",
        "./a",
        ".",
        "/src/app",
        "/src/app/x",
        "deep/./x",
        ".github/x.yml",
        "src/token.py",
        "a b",
        "naïve.txt",
    ],
)
def test_a_path_below_leads_there(word):
    assert leads_under(word, "/src/app", ".")


@pytest.mark.parametrize(
    "word",
    ["", "..", "../x", "a/../b", "/etc/passwd", "/src/app2/x", "/src/apple", "/", "-x", "+x", "@x", "~", "~/x", "=x", "%x", "!x", "a:b", "http://x", "a|b", "a\nb", "a\0b", "a*", "a$b", "a;b", "a`b", "a\\b", "\u202ex", "x" * 5000,
     ".ssh/id_rsa", ".env", ".env.local", "a/.aws/credentials", "id_ed25519", "server.key", "cert.pem", ".git/config", ".netrc", ".npmrc", "secrets.yaml", "prod.tfstate", "passwords.txt", ".bash_history", "api_token.json", "x/.kube/config"],
)  # fmt: skip
def test_what_leads_out_or_looks_like_a_secret_does_not(word):
    assert not leads_under(word, "/src/app", ".")


@pytest.mark.parametrize(
    "here",
    [
        "/",
        "/etc",
        "/proc/1",
        "/sys",
        "/dev",
        "/usr/bin",
        "/var/log",
        "/boot/efi",
        "relative",
        "/src/../etc",
        "",
        "//",
    ],
)
def test_the_folder_of_the_call_is_no_folder_of_the_system(here):
    assert not leads_under("x", here, ".")


def test_a_named_folder_is_compared_by_whole_names():
    assert leads_under("/srv/data/x", "/src", "/srv/data")
    assert not leads_under("/srv/database/x", "/src", "/srv/data")
    assert leads_under("x", "/srv/data/deep", "/srv/data")
    assert is_below("/a", "/a")
    assert not is_below("/ab", "/a")
    assert joined("/a", "../b") == "/../"
    assert is_real("/a/b")
    assert not is_real("/a/./b")


def test_the_longest_path_is_taken_and_a_longer_one_is_not():
    assert leads_under("x" * MAX_PATH, "/src", ".")
    assert not leads_under("x" * (MAX_PATH + 1), "/src", ".")
