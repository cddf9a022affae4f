"""The gate of the neighbours: what a rule that is compared means for a request."""

from tests.gate.conftest import house as house
