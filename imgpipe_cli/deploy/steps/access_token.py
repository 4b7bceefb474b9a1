"""The token that protects uploads and private results."""

from __future__ import annotations

from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.resources.token_parameter import TokenParameter

STEP = Step("token", "Access token", (TokenParameter(),))
