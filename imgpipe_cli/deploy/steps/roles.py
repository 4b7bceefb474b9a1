"""One role for each function."""

from __future__ import annotations

from imgpipe_cli.aws.names import FUNCTIONS
from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.resources.iam_role import Role

STEP = Step("roles", "Roles", tuple(Role(function) for function in FUNCTIONS))
