"""What is known of programs and of the environment that they are started with. Pure tables and their laws.

`is_capable`: the program can run another program, write a file, open a connection or load code at the word of an
argument (the functions shell, command, file-write, upload, download, library-load and connections of GTFOBins). Only a
rule that says every argument may let one pass. Programs that merely read are not listed: what they read is up to a
rule's arguments.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from failgate.matching.paths import is_real
from failgate.matching.shell import SHELLS

_RUNS_OTHERS: Final = """
    7z 7za aa-exec ab ack ag age agetty alacritty alpine ansible ansible-playbook ansible-test ant aoss apache2ctl
    apport apt apt-cache apt-config apt-get apt-key aptitude ar aria2c arj as ascii-xfr asdf ash aspell at at-spi
    atobm atq awk aws az base32hex base64hex bashbug bat batcat batch bazel bconsole bluetoothctl bosh bpftool
    bpftrace bpython bridge bsdcat bsdtar buck buildah bun bundle bundler busctl busybox bwrap byebug bzip2 bzr c89
    c99 cabal cancel capsh cargo cargo-nextest cc ccache cdk celery certbot cf chage chattr cheat check_by_ssh
    check_cups check_log check_memory check_raid check_ssl_cert check_statusfile chef chfn chmod choom chown
    chpasswd chronic chroot chsh clang clang++ clisp cloc clojure cmake cobc code combine composer composite conda
    consul convert corepack cowsay cowthink cp cpan cpio cpulimit crash crictl crontab crystal csc csplit csvtool
    ctr cupsfilter curl cvs darcs dart dash date dbus-send dc dconf dd debugfs debuild deno dialog diff3 dig direnv
    distcc distrobox django-admin dmesg dmidecode dmsetup dnf doas docker docker-compose doctl dosbox dotnet dpkg
    dpkg-deb dune dvipdf dvips easy_install easyrsa eb ed efax electron elixir elvish emacs emacsclient enscript
    entr env eqn erb erl errno esac etcdctl ex exiftool expect fab facter fakechroot fakeroot fd fdfind fdisk ffmpeg
    ffplay ffprobe file find finger firejail fish flask flock flutter fly flyctl fnm foot fossil fping fsharpi ftp
    fzf g++ gawk gcc gcloud gcore gdb gdbserver gdbus gem genie genisoimage getcap gforth gh ghc ghci gimp ginsh git
    git-receive-pack git-shell git-upload-archive git-upload-pack gitk glab gmake gnome-terminal go gofmt gp gpg
    gpg2 gpgsm gprof gradle gradlew grc groff groupadd gs gsettings gtar gtester guile gulp gunicorn gunzip gzip
    hadoop halt hatch helm heroku hg host hostname hostnamectl hping3 iconv identify iex ifne iftop incus info
    initctl insmod install inv invoke ionice ip ipcrun iptables ipython ipython3 irb ispell java javac jj jjs joe
    journalctl jrunscript jshell jtag julia jupyter just k3s k9s kill killall kind kitty knife konsole kotlin
    ksshell ksu kubectl kustomize latex latexmk lazygit lckdo ld ld-linux ld-linux-x86-64.so.2 ld.so ldapmodify
    ldapsearch ldconfig ldd lein lerna less lessecho lftp libreoffice link links lldb ln localectl loginctl
    logrotate logsave lp lsof ltrace lua luajit lualatex luatex lwp-download lwp-request lxc lxd lxterminal lynx lz4
    machinectl magick mail mailx make mamba man mariadb mawk maxima mc meson micromamba minicom minikube mise mix
    mkdir mkfifo mkfs mknod mktemp modprobe mogrify mongo mongosh mono montage more mosh mosquitto mount mplayer mpv
    msbuild msfconsole msgattrib msgcat msgconv msgfilter msgmerge msguniq mtr multitime mutt mv mvn mysql mysqldump
    nano nasm nawk nc ncat ncdu ncftp neofetch nerdctl netcat netlify netsh nft nginx nice nim ninja nix nix-shell
    nmap node node-gyp nodejs nodenv nohup nomad npm npx nroff nsenter nsjail nslookup ntpdate nuget nvim nx oc
    ocaml ocamlc octave octave-cli op opam openssl openvpn openvt opkg original-awk p4 p7zip packer pacman paket
    pandoc parallel parted pass passwd patch pax pdb pdflatex pdftex pdm pee perf perl perlbug pexec pg php pic pico
    pidstat pigz ping pip pip3 pipenv pipx pkcon pkexec pkg pkill pnpm pod podman poetry posh poweroff pre-commit
    prlimit proot protoc pry ps2pdf psftp psql ptpython ptx pulumi puppet pure-ftpd pwsh pyenv pyrit python pythonw
    qdbus qemu racket rails rake rar rbash rbenv rc rclone rdoc readelf rebar3 reboot red redcarpet redis-cli
    redis-server repo resolvectl restic rg ri rlogin rlwrap rm rmdir rpm rpmdb rpmquery rpmverify rr rscript rsync
    rtorrent ruby ruby-debug run-mailcap run-parts runc runcon runghc runscript rush rustc rustdoc rustup rview rvim
    salt salt-call sam sash sbcl sbt scala scanmem sccache scons scp scrapy screen script scriptreplay scrot sdiff
    sdk sed serverless service setarch setcap setfacl setlock setpriv setsid sftp sg shred shuf shutdown skaffold
    skopeo slsh smbclient snap socat socket soelim soffice softlimit sops sort split sponge sqlite sqlite3 sqlmap ss
    ssh ssh-add ssh-agent ssh-copy-id ssh-keygen ssh-keyscan sshfs sshpass st stack start-stop-daemon stdbuf strace
    stty su sudo sudoedit svn swift swiftc sysctl systemctl systemd-nspawn systemd-resolve systemd-run tac tar task
    taskset tasksh tbl tclsh tcpdump tdbtool tee telinit telnet terraform tex tftp tic tig tilt time timedatectl
    timeout tldr tmate tmux toolbox top torify torsocks touch tox trace-cmd tree troff truncate ts ts-node tshark
    tsx turbo twine ufw ul unexpand uniq unlink unoconv unrar unshare unsquashfs unzip update-alternatives
    update-mime urxvt useradd usermod uudecode uuencode uv uvicorn uvx vagrant valgrind varnishncsa vault vercel vi
    vidir view vigr vim vim.basic vim.tiny vimdiff vipe vipw virsh visudo vlc volatility volta w3m wall wasmer
    wasmtime watch watchexec wg-quick wget whiptail whois wine wireshark wish wrangler wsl xargs xcodebuild xdg-mime
    xdg-open xdg-user-dir xdotool xelatex xetex xmllint xmodmap xmore xpad xsltproc xterm xxd xz yarn yash yelp
    youtube-dl yq yt-dlp yum zathura zig zip zrun zsh zsoelim zstd zstdmt zypper
"""
_READERS: Final = frozenset(
    (  # noqa: SIM905  # a word a line hides the list
        "python pypy perl ruby node nodejs php lua luajit tclsh wish julia guile R Rscript octave irb ghci erl"
    ).split()
)
_TELLING: Final = frozenset({"--version", "--help"})
_TELLING_SHORTLY: Final = frozenset({"-V", "-h"})  # a shell takes them for something else
_INPUTS: Final = frozenset({"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})
CAPABLE: Final = frozenset(_RUNS_OTHERS.split()) | SHELLS
_VERSION: Final = re.compile(r"[-.]?[0-9][0-9.]*\Z", re.ASCII)

# Names under which a distribution keeps a program that is started by another one.
_ALSO: Final[Mapping[str, Collection[str]]] = {
    "sh": ("dash", "bash"),
    "awk": ("mawk", "gawk", "original-awk"),
    "vi": ("vim.basic", "vim.tiny", "nvi", "nvim", "vim"),
    "pager": ("less", "more"),
    "cc": ("gcc", "clang"),
    "which": ("which.debianutils",),
    "nc": ("nc.openbsd", "nc.traditional"),
    "node": ("nodejs",),
}
_MANY: Final = frozenset({"busybox", "coreutils", "toybox"})  # one file that is whatever program it is called
_INSTALLED: Final = ("/usr/", "/bin/", "/sbin/", "/snap/", "/nix/store/", "/gnu/store/")  # only root writes there
_PLACES: Final = (*_INSTALLED, "/opt/")
# Where everybody may write. A folder of one user (a home, /run/user/N) is none: it is looked into instead.
_OPEN: Final = re.compile(
    r"/+(private/+)?(tmp|var/+tmp|var/+crash|var/+lock|dev/+(shm|mqueue)|run/+(lock|shm)|proc)(/.*)?", re.DOTALL
)

# Variables that never stand beside a command that a rule lets pass: each makes a program run, load or read what it
# names, or changes what a shell makes of its words.
_INJECTING_WORDS: Final = """
    ENV IFS CDPATH FPATH ZDOTDIR GLOBIGNORE SHELLOPTS BASHOPTS PROMPT_COMMAND PS[0-4] BASH_.* LD_.* DYLD_.*
    PYTHON.* PERL.* RUBY.* GEM_.* BUNDLE_.* NPM_.* npm_.* YARN_.* DENO_.* BUN_.* PHP.* LUA_.* R_.* TCL.* GUILE_.*
    NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS NODE_REPL_EXTERNAL_MODULE JULIA_.* OCAML.* ERL_.* ELIXIR_.*
    JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS JAVA_OPTS CLASSPATH MAVEN_.* GRADLE_.* SBT_OPTS KOTLIN_.*
    GIT_.* SSH_.* GPG_.* GNUPGHOME HG.* SVN_.* GH_.* GLAB_.* PAGER .*PAGER .*PAGERSECURE LESS.* MORE BAT_.*
    EDITOR VISUAL FCEDIT .*_EDITOR SUDO_.* BROWSER DISPLAY WAYLAND_DISPLAY XAUTHORITY DBUS_.*
    GCONV_PATH GETCONF_DIR HOSTALIASES LOCALDOMAIN RES_OPTIONS LOCPATH NLSPATH TERMINFO TERMINFO_DIRS TERMCAP TERMPATH
    MALLOC_.* GLIBC_TUNABLES NIX_.* XDG_CONFIG_DIRS XDG_DATA_DIRS GTK_.* QT_.* GIO_.* GST_.*
    CC CXX CPP LD AR AS NM CFLAGS CXXFLAGS CPPFLAGS LDFLAGS RUSTC.* RUSTFLAGS RUSTDOC.* CARGO_.* RUSTUP_.* GO.* CGO_.*
    MAKE.* MFLAGS GNUMAKEFLAGS CMAKE_.* NINJA_.* ANSIBLE_.* KUBE.* DOCKER_.* COMPOSE_.* TF_.* HELM_.* VAGRANT_.*
    OPENSSL_.* SSL_.* CURL_.* WGETRC .*_PROXY .*_proxy TAR_.* TAPE GZIP BZIP2? XZ_.* ZSTD_.* UNZIP.* ZIP.*
    GREP_OPTIONS RIPGREP_.* FZF_.* ACK.* AG_.* FD_.* RSYNC_.* VIM.* EXINIT EMACS.* INPUTRC FAILGATE_.* SYSTEMD_.*
    PIP_.* UV_.* POETRY_.* PIPX_.* TOX_.* NOX_.* MYPY.* PYTEST_.* COVERAGE_.* VIRTUAL_ENV_.* CONDA_EXE CONDA_.*_EXE
    POSIXLY_CORRECT TMPPREFIX TEX.* OPENAI_.* ANTHROPIC_.* AWS_.* AZURE_.* GOOGLE_.* SHELL HISTFILE MAIL.*
"""
_INJECTING: Final = re.compile("|".join(_INJECTING_WORDS.split()), re.ASCII)
_LOCALE: Final = re.compile(r"[A-Za-z0-9_.@:,-]*", re.ASCII)
_ZONE: Final = re.compile(r"[A-Za-z0-9_+:,/-]*", re.ASCII)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.+:@-]*", re.ASCII)
_FOLDER: Final = re.compile(r"(/[^\x00-\x1f:]*)?")
_SHELL: Final = re.compile(r"(/usr|/opt/[a-z]+)?(/local)?/bin/[A-Za-z0-9._-]+", re.ASCII)
_PLAIN_WORDS: Final = """
    TERM COLORTERM NO_COLOR FORCE_COLOR COLUMNS LINES SHLVL USER LOGNAME CI GITHUB_ACTIONS GITLAB_CI
    BUILDKITE
    DEBIAN_FRONTEND NODE_ENV SOURCE_DATE_EPOCH RUNNER_OS RUNNER_ARCH CONDA_DEFAULT_ENV
    PYTHONHASHSEED PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED
"""
_FOLDER_WORDS: Final = """
    HOME PWD OLDPWD _ TMPDIR VIRTUAL_ENV CONDA_PREFIX XDG_RUNTIME_DIR XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME
    NVM_DIR
    JAVA_HOME GOPATH GOROOT CARGO_HOME RUSTUP_HOME
"""
# Variables that `failgate run`, `failgate shell` and a replay show by themselves, and what their values look like: no
# rule has to name them.
_ORDINARY: Final[Mapping[str, re.Pattern[str]]] = {
    **dict.fromkeys(_PLAIN_WORDS.split(), _PLAIN),
    **dict.fromkeys(_FOLDER_WORDS.split(), _FOLDER),
    "LANG": _LOCALE,
    "LANGUAGE": _LOCALE,
    "TZ": _ZONE,
    "SHELL": _SHELL,
}
# Where programs find settings that may make them run something, and where below the account's home that ordinarily is;
# None: it is installed for everybody.
_CONFIGURING: Final[Mapping[str, Collection[str] | None]] = {
    "HOME": ("",),
    "XDG_CONFIG_HOME": ("/.config",),
    "CARGO_HOME": ("/.cargo",),
    "RUSTUP_HOME": ("/.rustup",),
    "GOPATH": ("/go",),
    "NVM_DIR": ("/.nvm", "/.config/nvm"),
    "GOROOT": None,
    "JAVA_HOME": None,
}


def name_of(path: str) -> str:
    """Return the last part of a path: what a program is called."""
    return path.rpartition("/")[2]


def short_name(name: str) -> str:
    """Return the name of a program without its version: `python` for `python3.11`."""
    return _VERSION.sub("", name) or name


def is_capable(name: str) -> bool:
    """Tell whether a program of this name (or path) can do anything at the word of an argument."""
    base = name_of(name).lower().removesuffix(".exe")
    return base in CAPABLE or short_name(base) in CAPABLE


def reads_its_program(argv: Sequence[str]) -> bool:
    """Tell whether a shell or an interpreter called so runs what comes by its standard input, which nobody sees."""
    name = name_of(argv[0]).removeprefix("-")
    if name not in SHELLS and short_name(name) not in _READERS:
        return False
    words = list(argv[1:])
    if len(words) == 1 and words[0] in (_TELLING if name in SHELLS else _TELLING | _TELLING_SHORTLY):
        return False
    if words == ["-v"] and short_name(name) in {"node", "nodejs", "perl", "php", "ruby"}:  # of others it is no version
        return False
    operand = next((place for place, word in enumerate(words) if not word.startswith("-") or word == "-"), None)
    if operand is None or words[operand] in _INPUTS:
        return True
    options = words[:operand]
    return name in SHELLS and any("s" in word for word in options if not word.startswith("--"))


def is_injecting(name: str) -> bool:
    """Tell whether a variable makes programs run or load what it says: no rule may let one be set."""
    return name not in _ORDINARY and _INJECTING.fullmatch(name) is not None


def is_open_folder(path: str) -> bool:
    """Tell whether anybody may put a file there, as far as the name says it."""
    return _OPEN.fullmatch(path) is not None


def names_agree(asked: str, attested: str) -> bool:
    """Tell whether the file `attested` is what a system keeps under the name `asked`: `python` is `python3.11`."""
    name, found = name_of(asked), name_of(attested)
    if not name or not found:
        return False
    return name == found or _is_version_of(name, found) or found in _ALSO.get(name, ())


def _is_version_of(name: str, found: str) -> bool:
    return found.startswith(name) and _VERSION.fullmatch(found[len(name) :]) is not None


def is_installed(path: str, *, is_anywhere: bool = False) -> bool:
    """Tell whether a real path lies where programs for everybody are; `is_anywhere`: not where all write."""
    return is_real(path) and (path.startswith(_PLACES) or (is_anywhere and not is_open_folder(path)))


def is_this_program(asked: str, attested: str, *, is_anywhere: bool = False) -> bool:
    """Tell whether `attested`, the real path of the file that would run, is the program that `asked` names.

    A bare name means a program that is installed for everybody. A path means that file; when it is a link, the file it
    leads to has to have its name, and to be installed, or at least not to lie where everybody may write. With
    `is_anywhere` a bare name may be found in any folder where not everybody may write.
    """
    if not is_real(attested):
        return False
    if "/" not in asked:
        is_named = names_agree(asked, attested) or (name_of(attested) in _MANY and asked not in SHELLS)
        return is_named and is_installed(attested, is_anywhere=is_anywhere)
    if asked == attested:
        return True
    if not asked.startswith("/"):
        return False
    if attested.startswith(_INSTALLED):
        return names_agree(asked, attested)
    return not asked.startswith(_INSTALLED) and names_agree(asked, attested) and not is_open_folder(attested)


def search_trouble(path: str) -> str | None:
    """Return why nothing passes with the search path `path`, whatever is found by it; None when it is an ordinary one.

    An entry that is relative or empty means another folder wherever the search begins. Into one where everybody may
    write, anybody puts a file between the look and the use.
    """
    for entry in path.split(":"):
        if not entry.startswith("/"):
            return "has an entry that is empty or does not begin at the root"
        if "/.." in entry:
            return "has an entry with .."
        if is_open_folder(entry):
            return "leads through a folder in which everybody may write"
    return None


def is_trusted_search(path: str | None) -> bool:
    """Tell whether a search path leads to what is installed for everybody, whatever name is looked for."""
    if path is None:
        return True
    folders = [entry.rstrip("/") for entry in path.split(":")]
    return all(is_real(folder) and f"{folder}/".startswith(_PLACES) for folder in folders)


def is_configuring(name: str) -> bool:
    """Tell whether a variable says where programs find settings that may make them run something."""
    return name in _CONFIGURING


def refused_variable(
    env: Mapping[str, str], named: Collection[str], *, is_strict: bool, home: str | None = None
) -> str | None:
    """Return the name of a variable that keeps a rule from letting a command pass; None when there is none.

    `named` are those that the rule lets be set. `is_strict` looks at where programs find their settings, too: in the
    account's own folder, which is `home`, at the ordinary place below it, or where the rule lets it be said.
    """
    for name, value in env.items():
        if not _is_fit(name, value, named):
            return name
        if is_strict and name in _CONFIGURING and not _is_ordinary_place(name, value, named, home):
            return name
    return None


def _is_ordinary_place(name: str, value: str, named: Collection[str], home: str | None) -> bool:
    if not value:
        return True
    if is_open_folder(value):
        return False
    below, place = _CONFIGURING[name], value.rstrip("/")
    if name in named or (below is None and is_installed(place)):
        return True
    return home is not None and below is not None and place in {f"{home.rstrip('/')}{folder}" for folder in below}


def _is_fit(name: str, value: str, named: Collection[str]) -> bool:
    if name == "PATH":
        return search_trouble(value) is None
    if is_injecting(name):
        return False
    form = _LOCALE if name.startswith("LC_") else _ORDINARY.get(name)
    if form is None:
        return name in named
    return form.fullmatch(value) is not None
