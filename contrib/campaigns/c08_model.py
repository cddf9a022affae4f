"""C8: the life of a request against a plain model, by random events: the machine of tests/gate/test_lifecycle.py."""

import random
import sys
from contextlib import contextmanager
from pathlib import Path

from campaign import Campaign, Seen

STEPS = 30
sys.path.insert(0, str(Path(__file__).parents[2]))


def explored(count: int, seed: int) -> Seen:
    from hypothesis import HealthCheck, Phase, settings
    from hypothesis import seed as seeded
    from hypothesis.stateful import run_state_machine_as_test

    from tests.gate.test_lifecycle import Lifecycle

    chosen = settings(
        max_examples=count, stateful_step_count=STEPS, deadline=None, database=None, print_blob=False,
        phases=(Phase.generate,), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    seen = Seen(count)
    machine = seeded(seed)(type("Seeded", (Lifecycle,), {}))
    try:
        run_state_machine_as_test(machine, settings=chosen)
    except AssertionError as error:
        seen.broken.append(str(error)[:300])
    return seen


def run(_folder: Path, count: int, chance: random.Random) -> Seen:
    return explored(count, chance.randrange(1 << 32))


@contextmanager
def forgetful():
    """Let a request that was cancelled be approved all the same."""
    from msgspec.structs import replace

    from failgate.gate import lifecycle as life

    genuine = life.apply

    def apply(request, event):
        try:
            return genuine(request, event)
        except life.IllegalTransition:
            if isinstance(event, life.Cancelled) and request is not None and request.state == "approved":
                return replace(request, state="cancelled")
            raise

    life.apply = apply
    try:
        yield
    finally:
        life.apply = genuine


def control(_folder: Path, chance: random.Random) -> Seen:
    with forgetful():
        return explored(500, chance.randrange(1 << 32))


CAMPAIGN = Campaign(
    "C8", "the life of a request is that of the model", "examples", "what is approved can be cancelled",
    {"ci": 1_000, "nightly": 100_000, "release": 1_000_000}, run, control,
)  # fmt: skip
