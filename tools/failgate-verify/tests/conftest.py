"""A log and who signs it."""

import pytest

from tests.handmade import Operator, make_leaves


@pytest.fixture(scope="session")
def leaves() -> list[bytes]:
    return make_leaves(600)


@pytest.fixture
def operator() -> Operator:
    return Operator()
