"""What somebody who reads a project types on an ordinary day, and what an agent does: commands that change nothing.

Written down before the starter rules were measured against it, with what they do not know, too.
"""

DAY = r"""
git status
git status --short
git status -sb
git status --porcelain
git log --oneline -10
git log --oneline -n 20
git log -5
git log -p -2 -- src/app.py
git log --stat -3
git log --graph --oneline --all
git log --oneline main..HEAD
git log --since=yesterday
git log --author=ann --oneline
git log --format='%h %an %s' -5
git log -S 'def total' --oneline
git log --follow -- docs/readme.md
git --no-pager log --oneline -15
git show
git show HEAD
git show HEAD~2 --stat
git show HEAD:src/app.py
git show 3f2a91c
git diff
git diff --stat
git diff --cached
git diff --staged --name-only
git diff HEAD~1
git diff main...feature/login
git diff main -- src/app.py
git --no-pager diff --no-color
git diff --name-status origin/main
git branch
git branch -a
git branch -vv
git branch --show-current
git remote -v
git tag --list
git stash list
git stash show -p
git rev-parse HEAD
git rev-parse --show-toplevel
git rev-parse --abbrev-ref HEAD
git describe --tags --always
git merge-base main HEAD
git ls-files
git ls-files src
git ls-tree -r --name-only HEAD
git blame src/app.py
git blame -L 10,30 src/app.py
git grep -n total
git grep -n "class Order" -- src
git shortlog -sn
git reflog -10
git config --get user.email
git config --list
git worktree list
git check-ignore build/out.txt
git cat-file -p HEAD
git --version
ls
ls -la
ls -la src
ls -lh build
ls -R tests
ls src/app tests/app
ls *.py
pwd
cat README.md
cat src/app.py
cat -n src/app.py
cat pyproject.toml
cat package.json
cat .gitignore
cat .github/workflows/ci.yml
cat src/a.py src/b.py
head -50 src/app.py
head -n 20 CHANGELOG.md
tail -n 100 build/out.log
tail -20 build/out.log
tail -n +100 src/app.py
sed -n 10,40p src/app.py
sed -n '100,200p' src/app.py
sed -n 5p setup.cfg
wc -l src/app.py
wc -l src/a.py src/b.py
nl src/app.py
grep -n total src/app.py
grep -rn total src
grep -rn "def total" src tests
grep -rni "error" build/out.log
grep -c ERROR build/out.log
grep -rl import src
grep -rn --include=*.py total .
grep -A 3 -B 2 total src/app.py
grep -E "foo|bar" src/app.py
grep -v '^#' setup.cfg
grep -rn "os.path" src --include=*.py
grep "a/b" src/app.py
rg total
rg -n total src
rg -n "def total" src
rg -l total
rg -t py total
rg -i error build
rg --files src
rg -A 3 total src/app.py
rg -C3 total
rg -g '*.py' total
find . -name '*.py'
find . -type f -name '*.md'
find src -type d
find . -maxdepth 2 -type f
find . -name node_modules -prune
find . -path './tests/*' -name '*.py'
find . -type f -size +1M
find . -name '*.py' -newer setup.cfg
find . -name '*.log' -mtime -1
find tests -name 'test_*.py'
tree
tree -L 2
tree -L 3 -I node_modules
tree src
du -sh .
du -sh src
du -h --max-depth=1
df -h
df -h .
file build/out.bin
stat src/app.py
diff a.txt b.txt
diff -u src/a.py src/b.py
diff -rq src lib
cmp a.bin b.bin
sort names.txt
sort -u names.txt
sort -k2 -n sizes.txt
uniq -c
cut -d, -f1 data.csv
cut -d: -f1,3 users.txt
awk '{print $1}' data.txt
awk -F, '{print $2}' data.csv
awk '{s+=$1} END {print s}' sizes.txt
jq . package.json
jq .version package.json
jq -r .scripts package.json
jq '.dependencies | keys' package.json
jq '.items[] | select(.a == 1)' data.json
basename src/app.py
dirname src/app.py
realpath src/app.py
readlink -f src/app.py
sha256sum build/out.bin
md5sum build/out.bin
strings build/out.bin
hexdump -C build/out.bin
xxd build/out.bin
od -c build/out.bin
echo hello
echo "done: 3"
which python3
which node
whereis git
whoami
id
hostname
uname -a
uname -r
uptime
date
date +%Y-%m-%d
date -u +%H:%M
nproc
free -h
lscpu
lsblk
ps aux
ps -ef
ps aux --sort=-rss
top -b -n 1
env
printenv PATH
python3 --version
python --version
node --version
npm --version
npm ls
pip list
pip show requests
pip --version
cargo --version
go version
gcc --version
make --version
java -version
docker ps
docker ps -a
docker images
docker logs web
kubectl get pods
kubectl version --client
make -n
sleep 2
seq 3
git status && git diff --stat
git status; git log --oneline -5
git diff | head -100
git log --oneline | head -20
git branch -a | grep feature
git diff HEAD~1 --stat | tail -5
cat build/out.log | grep ERROR
cat build/out.log | grep -i error | tail -20
cat data.txt | sort | uniq -c | sort -rn | head -10
cat package.json | jq .version
ls -la | head
ls -la && git status
ls src | wc -l
ls -1 | sort
ls build 2>/dev/null
ls build 2>/dev/null || echo none
find . -name '*.py' | wc -l
find . -name '*.py' | head -20
find . -name '*.py' -type f 2>/dev/null | sort
find . -name '*.py' | xargs wc -l
grep -rn total src | head -20
grep -rn total src | wc -l
grep -rln total src | sort
rg -l total | head -5
ps aux | grep python
du -sh src | cut -f1
pwd && ls -la
cd /src/app && git status
cd /src/app && ls -la && git log --oneline -5
cd /src/app/src && ls
head -5 a.txt && tail -5 a.txt
sed -n 1,20p src/app.py | cat -n
echo "--- status" && git status --short
git log --oneline -5 2>&1 | cat
wc -l src/a.py | awk '{print $1}'
cat $HOME/notes.txt
for f in a b; do cat $f; done
test -f setup.cfg && cat setup.cfg
command -v node && node --version
git status -s | cut -c4-
cat src/app.py | tr a-z A-Z | head -3
git diff --name-only | grep '.py$'
"""
COMMANDS = [line for line in DAY.splitlines() if line]
