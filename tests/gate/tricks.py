"""Tricks of shells, environments and names of files, around commands that the starter rules let pass."""

import re

# How somebody would try to get past a rule that lets `cat a.txt`, `git status` and `ls -la` pass.
_LINES = [
    "git status; id", "git status && id", "git status || id", "git status | sh", "git status & id", "git status\nid", "git status $(id)", "git status `id`", "git status > /tmp/x",
    "git status >> ~/.bashrc", "git status 2>/tmp/x", "git status < /etc/shadow", "X=1 git status", "PATH=/tmp/evil git status", "LD_PRELOAD=/tmp/x ls", "cat a.txt <(id)", "cat $HOME/.ssh/id_rsa",
    "cat ~/.ssh/id_rsa", "cat /etc/{passwd,shadow}", "cat *", "ls; rm -rf .", "ls -la && rm x", "eval ls", "exec ls", "source a.txt", ". a.txt", "command ls", "builtin echo x", "function ls { id; }; ls", "ls() { id; }; ls",
    "alias ls=id; ls", "trap id EXIT; ls", "set -x; ls", "export X=1; ls", "declare X=1; ls", "read X; ls", "cd / && cat etc/shadow", "cd /etc && cat passwd", "cd .. && ls", "cd /tmp && git status", "cd -; ls",
    "pushd / && ls", "(ls)", "{ ls; }", "! ls", "time ls", "coproc ls", "if true; then ls; fi", "for x in a; do ls; done", "while true; do ls; done", "case x in x) ls;; esac", "ls #x\nid", "ls \\\n; id", "ls |& sh",
    "ls &>x", "ls 2>&1 >x", "ls >|x", "ls <>x", "ls <<<x", "cat <<E\nE\nid", "echo x > a", "echo x | tee a", "echo id | sh", "echo id | bash", "echo $'\\x69\\x64' | sh", "ls $'a'", 'ls $"a"', "ls ${X}", "ls $((1))", "ls $[1]",
    'echo "$(id)"', 'echo "`id`"', 'echo "${X:-$(id)}"', "[ -f x ] && ls", "[[ -f x ]] && ls", "test -v 'a[$(id)]' && ls", "printf -v PATH x; ls", "hash -p /tmp/evil ls; ls", "enable -f /tmp/x ls; ls", "ls\r", "ls\x0bid", "ls\u00a0id", "ls\u2028id",
    "git status;id", "git status&&id", "git status|id", "'git' 'status' ; 'id'", '"git" status; "id"', "gi\\t status; ev\\il", "ls; $X", "ls;;id", "ls ;& id", "umask 0; ls", "ulimit -c 0; ls", "kill 1; ls", "wait; ls", "bash -c id", "ls; sh -c id",
    "env ls", "nice ls", "timeout 5 ls", "xargs ls", "nohup ls", "sudo ls", "find . -exec id \\;", "find . -name x -delete", "sort -o x a", "sed -i s/a/b/ x", "awk 'BEGIN{system(\"id\")}'", "git -c core.pager=id log", "cat a.txt; cat /etc/shadow", "ls | xargs rm",
    "ls && cd /etc && cat passwd", "cd src || cat x; cat /etc/passwd", "cd src; cat x", "cd a && ls; cat passwd", "ls | cd /etc && cat passwd", "cd src | cat x", 'cd "" && ls', "cd ~ && ls", "cd $X && ls", "a=1", "ls a=$(id)", "unset PATH; ls", "shopt -s expand_aliases; ls",
    "mapfile -C id a; ls", "complete -C id ls; ls", "history -a x; ls", "fc -e id; ls", "bind -x x; ls", "type -a $(id)", "command -v $(id); ls", "exit $(id); ls", "true $(id); ls", ": $(id); ls", ": > x; ls", "> x ls", "2>x ls", "ls 1>&3", "ls 9>&1", "ls >&x", "ls {a}>&1",
    "", " ", ";", "&&", "|", "ls ||", "| ls", "ls | | wc", "ls 'unclosed", 'ls "unclosed', "ls \\",
]  # fmt: skip

LINES = [re.sub(r"\bid\b", "evil", line) for line in _LINES]  # `id` itself is a command that reads

ENVIRONMENTS = [
    {"LD_PRELOAD": "/tmp/x.so"}, {"LD_LIBRARY_PATH": "/tmp"}, {"LD_AUDIT": "/tmp/x"}, {"BASH_ENV": "/tmp/x"}, {"ENV": "/tmp/x"}, {"BASH_FUNC_ls%%": "() { id; }"}, {"PYTHONPATH": "/tmp"}, {"PYTHONSTARTUP": "/tmp/x"}, {"PYTHONHOME": "/tmp"},
    {"GIT_SSH_COMMAND": "id"}, {"GIT_PAGER": "id"}, {"GIT_EXTERNAL_DIFF": "id"}, {"GIT_CONFIG_COUNT": "1"}, {"GIT_CONFIG_GLOBAL": "/tmp/x"}, {"GIT_DIR": "/tmp/x"}, {"GIT_EXEC_PATH": "/tmp"}, {"GIT_TEMPLATE_DIR": "/tmp"}, {"PAGER": "id"}, {"LESSOPEN": "|id"}, {"LESS": "+!id"},
    {"EDITOR": "id"}, {"VISUAL": "id"}, {"MANPAGER": "id"}, {"PERL5OPT": "-Mx"}, {"PERL5LIB": "/tmp"}, {"RUBYOPT": "-rx"}, {"NODE_OPTIONS": "-r x"}, {"JAVA_TOOL_OPTIONS": "-javaagent:x"}, {"SHELLOPTS": "xtrace"}, {"PS4": "$(id)"}, {"IFS": "x"}, {"CDPATH": "/etc"},
    {"PATH": "/tmp/evil:/usr/bin"}, {"PATH": ":/usr/bin"}, {"PATH": ".:/usr/bin"}, {"PATH": "/usr/bin:"}, {"PATH": "/usr/bin/../../tmp"}, {"PATH": "/dev/shm:/usr/bin"}, {"RIPGREP_CONFIG_PATH": "/tmp/x"}, {"GREP_OPTIONS": "-f/etc/shadow"}, {"TAR_OPTIONS": "--checkpoint-action=x"}, {"GCONV_PATH": "/tmp"},
    {"LOCPATH": "/tmp"}, {"TERMINFO": "/tmp"}, {"GLIBC_TUNABLES": "x"}, {"MAKEFLAGS": "--eval=x"}, {"PROMPT_COMMAND": "id"}, {"BROWSER": "id"}, {"SSH_ASKPASS": "id"}, {"PIP_INDEX_URL": "http://evil"}, {"DOCKER_HOST": "tcp://evil"}, {"KUBECONFIG": "/tmp/x"}, {"http_proxy": "http://evil"}, {"UNKNOWN": "x"},
    {"LANG": "../../tmp/x"}, {"LC_ALL": "x/../y"}, {"SHELL": "/tmp/evil"}, {"TERM": "x/y"}, {"HOME": "relative"}, {"AWS_PAGER": "id"}, {"SYSTEMD_PAGER": "id"}, {"FAILGATE_SERVER": "http://evil"},
]  # fmt: skip

PROGRAMS = ["/tmp/evil/git", "/home/dev/bin/git", "/src/app/git", "/usr/bin/bash", "/usr/bin/gitx", "/usr/bin/../../tmp/git", "/var/tmp/git", "/usr/bin/python3", "git", "./git", "/dev/shm/git", "/proc/self/fd/3", "//usr/bin/git", "/run/user/1000/git"]  # fmt: skip
