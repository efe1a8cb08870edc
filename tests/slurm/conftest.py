"""One cluster for all tests of a worker."""

from collections.abc import Iterator

import pytest

from .cluster import Cluster, missing, running


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if reason := missing():
        pytest.skip(reason)
    with running() as cluster:
        yield cluster
