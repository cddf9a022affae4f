"""`python -m failgate` is the `failgate` command."""

import sys

from failgate.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
