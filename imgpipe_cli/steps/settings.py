"""Step 0: what the user asked for, kept with the pipeline, written before any other change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imgpipe_cli.aws import Aws
from imgpipe_cli.names import Names
from imgpipe_cli.settings import Settings
from imgpipe_cli.steps.base import Call, Change, Resource, Seen, Step

_NOT_THERE = ("ParameterNotFound", "InvalidResourceId")


def observe_parameter(aws: Aws, names: Names, parameter: str) -> Seen:
    """A parameter of ours; facts: value, None if it is not there."""
    found = aws.together(
        {
            "parameter": lambda: aws.find(
                "ssm", "get_parameter", missing=_NOT_THERE, Name=parameter, WithDecryption=True
            ),
            "tags": lambda: aws.find(
                "ssm",
                "list_tags_for_resource",
                missing=_NOT_THERE,
                ResourceType="Parameter",
                ResourceId=parameter,
            ),
        }
    )
    if found["parameter"] is None:
        return Seen(exists=False, facts={"value": None})
    tags = (found["tags"] or {}).get("TagList", [])
    return Seen(
        exists=True, owned=names.owns(tags), facts={"value": found["parameter"]["Parameter"]["Value"]}
    )


def delete_parameter(parameter: str) -> Change:
    return Change("delete", f"parameter {parameter}", Call("ssm", "delete_parameter", {"Name": parameter}))


def put_parameter(parameter: str, kind: str, value: Any, names: Names) -> Change:
    """Tags cannot go together with Overwrite: a new parameter is tagged in its create call."""
    params: Mapping[str, Any] = {"Name": parameter, "Type": kind, "Value": value, "Tags": names.tag_list}
    return Change("create", f"parameter {parameter}", Call("ssm", "put_parameter", params))


class SettingsParameter(Resource):
    """A String parameter that holds the settings as JSON: any machine can run the next command."""

    name = "settings"

    def observe(self, aws: Aws, names: Names) -> Seen:
        return observe_parameter(aws, names, names.settings_parameter)

    def changes(self, seen: Seen, names: Names, settings: Settings) -> Iterator[Change]:
        parameter, text = names.settings_parameter, settings.to_json()
        if not seen.exists:
            yield put_parameter(parameter, "String", text, names)
        elif seen.facts["value"] != text:
            params = {"Name": parameter, "Type": "String", "Value": text, "Overwrite": True}
            yield Change("update", f"parameter {parameter}", Call("ssm", "put_parameter", params))

    def removals(self, seen: Seen, names: Names) -> Iterator[Change]:  # noqa: ARG002
        yield delete_parameter(names.settings_parameter)


STEP = Step("settings", "Settings and checks", (SettingsParameter(),))
