"""The fixtures that the tests of the API's readers, and those of sending, share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto import mock_aws

from imgpipe_cli.aws.client import Aws, Place
from tests.support.api_server import FakeApi, serving
from tests.support.uploads import NAMES, Account


@pytest.fixture
def played() -> Iterator[FakeApi]:
    """The pipeline's API, with what is stored into it."""
    with serving() as api:
        yield api


@pytest.fixture(scope="module")
def aws() -> Aws:
    """One for all tests: making a client of S3 takes longer than any of them."""
    with mock_aws():
        made = Aws(Place(region=NAMES.region))
        made.client("s3")
    return made


@pytest.fixture
def empty_account(aws: Aws) -> Iterator[Account]:
    with mock_aws():
        yield Account(aws)


@pytest.fixture
def account(empty_account: Account) -> Account:
    empty_account.make_bucket()
    return empty_account
