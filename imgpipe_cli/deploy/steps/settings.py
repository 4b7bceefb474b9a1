"""The stored settings of the pipeline."""

from __future__ import annotations

from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.resources.settings_parameter import SettingsParameter

STEP = Step("settings", "Settings and checks", (SettingsParameter(),))
