"""What the user asked for, kept with the pipeline, written before any other change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.iam.scopes import PARAMETERS
from imgpipe_cli.aws.iam.uses import DOWN, LOOK, UP, Op, uses
from imgpipe_cli.aws.names import Names, plain_tags
from imgpipe_cli.aws.not_found import codes_of
from imgpipe_cli.deploy.resource import (
    Call,
    Change,
    ConflictError,
    Context,
    Observed,
    Resource,
    TransientError,
    indeterminate,
)
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Emit
from imgpipe_cli.session.settings import Settings

_NO_VERSION = "ParameterVersionNotFound"
# Two runs that write at once; SSM says: "Try again in a few seconds."
_BUSY = (TransientError("TooManyUpdates", why="SSM is still working on another change of the parameter"),)

# No kms: action: the account's default key for SecureString lets everybody of the account in.
PARAMETER_USES = (
    *uses(LOOK, PARAMETERS, "ssm.get_parameter", "ssm.list_tags_for_resource"),
    *uses(UP, PARAMETERS, Op("ssm.put_parameter", also=("ssm:AddTagsToResource",))),
    # The value that `Overwrite` writes where another run has removed the parameter has no tags yet.
    *uses(UP, PARAMETERS, "ssm.add_tags_to_resource"),
    *uses(DOWN, PARAMETERS, "ssm.delete_parameter"),
)


def observe_parameter(aws: Aws, names: Names, parameter: str) -> Observed:
    """A parameter of ours; facts: value, None if it is not there, type and version."""
    found = aws.together(
        {
            "parameter": lambda: aws.find("ssm", "get_parameter", Name=parameter, WithDecryption=True),
            "tags": lambda: aws.find(
                "ssm",
                "list_tags_for_resource",
                ResourceType="Parameter",
                ResourceId=parameter,
            ),
        }
    )
    if found["parameter"] is None:
        return Observed(exists=False, facts={"value": None})
    facts = {key.lower(): found["parameter"]["Parameter"].get(key) for key in ("Value", "Type", "Version")}
    if found["tags"] is None:
        return indeterminate(facts)
    tags = plain_tags(found["tags"].get("TagList", []))
    return Observed(exists=True, owned=names.owns(tags), facts=facts, tags=tags)


def refuse_other_type(observed: Observed, parameter: str, kind: str) -> None:
    """Raise a Problem for a parameter of another type, which AWS never changes."""
    if observed.facts["type"] != kind:
        raise Problem(
            "parameter_differs",
            f"The parameter {parameter} is a {observed.facts['type']}, not a {kind}: AWS cannot change that.",
            hint=f"Remove it: aws ssm delete-parameter --name {parameter}; then run imgpipe up.",
        )


def delete_parameter(parameter: str) -> Change:
    return Change(
        "delete", f"parameter {parameter}", Call("ssm", "delete_parameter", {"Name": parameter}, _BUSY)
    )


def put_parameter(parameter: str, kind: str, value: Any, names: Names) -> Change:
    """Tags cannot go together with Overwrite: a new parameter is tagged in its create call."""
    params: Mapping[str, Any] = {"Name": parameter, "Type": kind, "Value": value, "Tags": names.tag_list}
    return Change("create", f"parameter {parameter}", Call("ssm", "put_parameter", params, _BUSY))


@dataclass(frozen=True)
class Overwrite(Call):
    """A new value for a parameter. Where another run has removed it meanwhile this makes it anew, and without
    tags, which no call takes together with Overwrite: they follow, or nobody would know whose it is. Then it
    raises ConflictError, since all else has been removed as well.

    over: the version that the new value was made from. What another run has written since is not lost: it is
    handed on with ConflictError, also where it came at the very last moment and is overwritten.
    """

    tags: Sequence[Mapping[str, str]] = ()
    over: int | None = None

    def run(self, aws: Aws, _emit: Emit) -> Mapping[str, Any]:
        name = self.params["Name"]
        if self.over is not None:
            self._refuse_other(self._there(aws, name))
        answer = self.send(aws)
        version = answer.get("Version")
        if version == 1:
            where = {"ResourceType": "Parameter", "ResourceId": name}
            aws.call("ssm", "add_tags_to_resource", **where, Tags=list(self.tags))
            raise ConflictError
        if self.over is not None and version is not None and version != self.over + 1:
            before = self._there(aws, f"{name}:{version - 1}")
            # A repetition by the SDK after a lost answer has overwritten our own.
            if before.get("Value") != self.params["Value"]:
                self._refuse_other(before)
        return answer

    def _there(self, aws: Aws, name: str) -> Mapping[str, Any]:
        found = aws.find("ssm", "get_parameter", missing=(*codes_of("ssm"), _NO_VERSION), Name=name)
        return found["Parameter"] if found else {}

    def _refuse_other(self, there: Mapping[str, Any]) -> None:
        if there.get("Version") != self.over:
            raise ConflictError(str(there.get("Value", "")))


class SettingsParameter(Resource):
    """A String parameter that holds the settings as JSON: any machine can run the next command."""

    name = "settings"
    title = "the record of the pipeline's settings"
    iam = PARAMETER_USES
    visible_within_s = 20.0
    last_writer_wins = True

    def observe(self, aws: Aws, names: Names) -> Observed:
        observed = observe_parameter(aws, names, names.settings_parameter)
        # A run may have been killed before it could tag what it made with Overwrite: nobody else writes this.
        return (
            replace(observed, owned=True)
            if observed.untagged and _reads(observed.facts["value"])
            else observed
        )

    def diff(self, context: Context) -> Iterator[Change]:
        observed, names = context.observed, context.names
        parameter, text = names.settings_parameter, context.settings.to_json()
        if not observed.exists:
            yield put_parameter(parameter, "String", text, names)
            return
        refuse_other_type(observed, parameter, "String")
        if observed.untagged:
            where = {"ResourceType": "Parameter", "ResourceId": parameter}
            call = Call("ssm", "add_tags_to_resource", {**where, "Tags": names.tag_list}, _BUSY)
            yield Change("set", f"tags of parameter {parameter}", call)
        if observed.facts["value"] != text:
            params = {"Name": parameter, "Type": "String", "Value": text, "Overwrite": True}
            over = observed.facts.get("version")
            call = Overwrite("ssm", "put_parameter", params, _BUSY, tags=names.tag_list, over=over)
            yield Change("update", f"parameter {parameter}", call)

    def answered(
        self, _aws: Aws, context: Context, change: Change, answer: Mapping[str, Any]
    ) -> Observed | None:
        if change.verb != "create":
            return None
        params = change.call.params
        facts = {"value": params["Value"], "type": params["Type"], "version": answer.get("Version")}
        return Observed(exists=True, facts=facts, tags=context.names.tags)

    def removals(self, context: Context) -> Iterator[Change]:
        yield delete_parameter(context.names.settings_parameter)


def stored_settings(observed: Observed, names: Names) -> Settings:
    """The settings that were observed. Raises Problem("bad_settings")."""
    return Settings.from_json(str(observed.facts["value"]), parameter=names.settings_parameter)


def _reads(value: str) -> bool:
    """Whether these are settings of imgpipe's."""
    try:
        Settings.from_json(value)
    except Problem:
        return False
    return True
