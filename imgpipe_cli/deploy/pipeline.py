"""The steps of one project in one place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import Resource, Step
from imgpipe_cli.session.settings import Settings


@dataclass(frozen=True)
class Pipeline:
    """The steps of one project in one place. workers: how many resources converge at once."""

    steps: Sequence[Step]
    aws: Aws
    names: Names
    workers: int = 16

    def resources(self, settings: Settings | None = None) -> Iterator[tuple[Step, Resource]]:
        """All resources, or those that a pipeline with these settings has."""
        for step in self.steps:
            for resource in step.resources:
                if settings is None or resource.wanted(settings):
                    yield step, resource
