"""A testbed that serves our CRDs, and a client of a server that answers as a test says."""

import pathlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import test_utils, web
from kubernetes.aio.client import configuration

from charon_operator import testbed
from charon_operator.clients import kube, kube_access
from tests.clients.fake_api import TOKEN, Fake
from tests.testbed_fixtures import wait_served

CRDS = pathlib.Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="session")
def charged_bed(bed: testbed.Testbed) -> testbed.Testbed:
    bed.apply(CRDS)
    for file in sorted(CRDS.glob("*.yaml")):
        wait_served(bed, file.stem)
    return bed


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
async def client(fake: Fake) -> AsyncIterator[kube.KubeClient]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", fake.handle)
    async with test_utils.TestServer(app) as server:
        settled = configuration.Configuration(
            host=str(server.make_url("/")), api_key={"BearerToken": f"Bearer {TOKEN}"}
        )
        access = kube_access.Access(settled)
        async with kube.KubeClient(access, timeout_s=5, max_body_bytes=20_000) as made:
            yield made
