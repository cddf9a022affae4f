"""`failgate login` in a terminal that waits for somebody to approve it."""

import re
import subprocess
import sys
from pathlib import Path

from tests.journeys.harness import clean_environment

CODE = re.compile(r"open (\S+) in a browser and type this code: ([A-Z]{4}-[A-Z]{4})")


class Terminal:
    """`failgate login` while it waits."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "failgate", "login", *arguments],
            env=clean_environment(FAILGATE_HOME=str(home)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.said = ""
        assert self.process.stderr is not None
        while True:
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line
            if found := CODE.search(line):
                self.address, self.code = found[1], found[2]
                return

    def finish(self, timeout: float = 40) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, self.said + err
