"""Names that installed programs start by themselves, along PATH: a script calls `grep`, `git` calls a pager.

A client looks whether another file stands before the installed one under such a name; a server lets nothing pass by a
rule then. Interpreters are not among them: what a script is read by is told with the script.
"""

BASICS = frozenset(
    (  # noqa: SIM905  # a word a line hides the list
        "[ awk basename bash bat cat chmod cmp comm cp cut dash date delta diff dirname echo editor egrep "
        "env expr false fgrep file find gawk getconf getent git gpg gpgv grep gunzip gzip head hostname "
        "id install kill less ln locale ls lsb_release man mawk mkdir mktemp more mv nano nice nohup "
        "pager patch printf ps pwd readlink realpath rm rmdir scp sed sensible-editor sensible-pager sh "
        "sleep sort ssh ssh-keygen stat stty tail tar tee test timeout touch tr true tty uname uniq unzip "
        "vi vim wc which whoami xargs zcat"
    ).split()
)
