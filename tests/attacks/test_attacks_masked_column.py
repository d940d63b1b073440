"""A masked column by every way that we know, in a real kernel of a launched server: none shows a value; all show those of a column without a mask.

The evidence in a package is one more way, which needs a clean run: `tests/promotion/test_promotion_masked.py` tries it, deny and twin.
"""

import os

import pytest
from masked_ways import WAYS
from masked_world import MASKED, OPEN, POLICY, SECRETS, World

from tests.records.conftest import postgres  # noqa: F401 - a fixture
from tests.server.conftest import OTHER, make_server, others_can_run_this  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server_world(make_server):  # noqa: F811 - the fixture
    """Of an ordinary account, unless root runs this where others can't read."""
    account = OTHER if os.getuid() == 0 and others_can_run_this() else None
    return World(make_server(account=account, policy=POLICY, module=("jupyter_guardrails", "server")).wait_ready())


@pytest.fixture(scope="module")
def tables(server_world, request):
    """Only for whoever asks a database: PostgreSQL isn't on every machine."""
    server_world.add_tables(request.getfixturevalue("postgres"))


@pytest.fixture
def world(server_world, way, request):
    if way == "SQL":
        request.getfixturevalue("tables")
    return server_world


def obtained(world, way, name):
    """The values of the columns that this way showed."""
    said = WAYS[way](world, name)
    return [secret for secret in SECRETS if secret in said]


@pytest.mark.parametrize("way", WAYS)
def test_a_masked_column_is_not_read_by(world, way):
    assert obtained(world, way, MASKED) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_column_without_a_mask_is_read_by(world, way):
    """The twin: the very same program, so that it is the mask which kept it from obtaining anything."""
    assert obtained(world, way, OPEN) != []
