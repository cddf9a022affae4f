"""`python -m failgate_verify`."""

import sys

from failgate_verify.main import main

if __name__ == "__main__":
    sys.exit(main())
