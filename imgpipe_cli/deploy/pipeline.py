"""The steps of one project in one place, and one look at one resource of theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import Observed, Resource, Step
from imgpipe_cli.session.settings import Settings

Snapshot = dict[str, Observed]


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


def observe(pipeline: Pipeline, resource: Resource) -> Observed:
    """One look at one resource. Raises Problem."""
    try:
        return resource.observe(pipeline.aws, pipeline.names)
    except AwsError as error:
        raise problem(error, f"look at {resource.name}") from error


def not_ours_hint(names: Names) -> str:
    """What to do where something that is not ours has one of our names."""
    tags = " and ".join(f"{key}={value}" for key, value in names.tags.items())
    return f"Choose another name with --project; or, if it is this pipeline's, give it back its tags {tags}."
