"""The program of a hook, as `failgate init` writes it: `python -I -S launch.py claude-code`. Each failure ends with 2.

An agent program takes 2 for "blocked" and any other code for "let through", so that even an interpreter that cannot
import us has to end with 2. Nothing is imported before `try` but what is part of the interpreter.
"""

import sys

try:
    import gc

    gc.disable()  # a hook ends before its garbage counts
    here = __file__
    for _ in range(4):  # failgate/client/hooks/launch.py
        here = here.rpartition("/")[0]
    sys.path.append(here or "/")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    sys.path.append(f"{sys.executable.rpartition('/bin/')[0]}/lib/{version}/site-packages")

    from failgate.client.hooks.hook import main

    code = main(sys.argv[1:])
except BaseException as crash:  # noqa: BLE001 - also what asks the interpreter to end: any other code lets the call through
    code = 2
    try:
        sys.stderr.write(f"failgate: the hook failed ({type(crash).__name__}); the call is blocked.\n")
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001, S110 - there is nobody left to tell; the code says it
        pass

if __name__ == "__main__":
    import os

    os._exit(code)  # what is left of the interpreter's end could change the code
