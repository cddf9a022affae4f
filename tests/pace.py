"""Times that the product promises, as tests can hold it to them on a machine that does other things too."""

import os


def busy(seconds: float) -> float:
    """Return how long what takes `seconds` on an idle machine may take here and now, by the load of the last minute."""
    return seconds * (2 + os.getloadavg()[0] / (os.cpu_count() or 1))
