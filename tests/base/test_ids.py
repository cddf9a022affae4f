import subprocess
import sys
import threading

from failgate.base.ids import is_id, new_id


def test_ids_are_of_version_7_and_grow() -> None:
    ids = [new_id() for _ in range(2000)]
    assert ids == sorted(set(ids))
    assert all(is_id(each) and each[14] == "7" and each[19] in "89ab" for each in ids)


def test_ids_of_many_threads_differ() -> None:
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.extend(new_id() for _ in range(2000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each[19:] for each in ids}) == len(ids) == 16_000


_FORKED = """
import os
from failgate.base.ids import new_id
new_id()
if os.fork() == 0:
    print(new_id(), flush=True)
    os._exit(0)
os.wait()
print(new_id(), flush=True)
"""


def test_a_forked_process_has_random_numbers_of_its_own() -> None:
    said = subprocess.run([sys.executable, "-c", _FORKED], check=True, capture_output=True, text=True).stdout.split()
    assert len({each[19:] for each in said}) == 2
