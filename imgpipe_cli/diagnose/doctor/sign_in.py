"""The credentials: found where, good until when, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from imgpipe_cli.aws.client import Aws, AwsError, Credentials
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.aws.names import Names
from imgpipe_cli.diagnose.doctor.checks import Check, of_error, of_problem
from imgpipe_cli.diagnose.doctor.simulation import MAIN_REGIONS
from imgpipe_cli.errors import Problem
from imgpipe_cli.session.connection import Connection, refuse_other_account

if TYPE_CHECKING:
    from imgpipe_cli.session.target import Remembered, Target

# Less than a slow first `up` and a look at its result.
_SOON = timedelta(minutes=15)
# The SDK's words for where credentials come from.
_METHODS = {
    "env": "the environment (AWS_ACCESS_KEY_ID)",
    "shared-credentials-file": "the AWS credentials file",
    "config-file": "the AWS configuration file",
    "assume-role": "a role that the profile assumes",
    "assume-role-with-web-identity": "a role assumed with a web identity",
    "sso": "IAM Identity Center (aws sso login)",
    "login": "aws login",
    "custom-process": "the profile's credential_process",
    "container-role": "the role of this container",
    "iam-role": "the role of this EC2 instance",
}
_RENEWED = frozenset({"iam-role", "container-role", "custom-process", "assume-role"})


def credentials(found: Credentials, profile: str | None, now: datetime) -> Check:
    """What was found, and for how long it is good."""
    source = _METHODS.get(found.method, found.method)
    named = f", profile {profile}" if profile and found.method != "env" else ""
    kind = "temporary key" if found.temporary else "key"
    seen = f"{source}{named}: {kind} ...{found.ends_with}"
    if found.expires is None:
        return Check("credentials", "ok", seen)
    left = found.expires - now
    if left <= timedelta():
        return Check("credentials", "failed", f"{seen}, expired", _sign_in_again(profile))
    minutes = int(left / timedelta(minutes=1))
    seen = (
        f"{seen}, good for {minutes // 60} h {minutes % 60} min"
        if minutes >= 60
        else f"{seen}, {minutes} min left"
    )
    if left < _SOON and found.method not in _RENEWED:
        return Check("credentials", "warning", seen, _sign_in_again(profile))
    return Check("credentials", "ok", seen)


def not_found(error: AwsError, profile: str | None) -> Check:
    """What kept the SDK from finding any, with this profile's own command where there is one."""
    found = problem(error)
    fix = _sign_in_again(profile) if error.code == "SsoLogin" else found.hint
    return Check("credentials", "failed", found.message, fix)


def _sign_in_again(profile: str | None) -> str:
    return f"aws sso login{f' --profile {profile}' if profile else ''} (or new keys: aws configure)"


class SignIn:
    """Who the credentials are, asked once."""

    def __init__(self, target: Target, remembered: Remembered | None, aws: Aws) -> None:
        self._target = target
        self._remembered = remembered
        self._aws = aws
        self.connection: Connection | None = None
        self.arn = ""

    def identity(self) -> Iterator[Check]:
        try:
            answer = self._aws.call("sts", "get_caller_identity")
        except AwsError as error:
            yield self._refused(error)
            return
        account, arn = str(answer["Account"]), str(answer["Arn"])
        try:
            names = Names(self._target.project, account, self._aws.region, arn.split(":")[1])
            connection = Connection(self._target, self._aws, names)
            if self._remembered is not None:
                refuse_other_account(connection, self._remembered)
        except Problem as error:
            yield of_problem("identity", error)
            return
        self.connection, self.arn = connection, arn
        yield identity(account, arn)

    def _refused(self, error: AwsError) -> Check:
        if error.code == "Unreachable":
            return Check("identity", "not_checked", "AWS was not reached")
        if problem(error).code == "expired_token":
            fix = _sign_in_again(self._aws.profile)
            return Check("identity", "failed", "The AWS credentials have expired.", fix)
        if problem(error).code == "bad_credentials":
            return self._not_enabled() or of_error("identity", error)
        return of_error("identity", error)

    def _not_enabled(self) -> Check | None:
        """A region that is not enabled answers as if the credentials were wrong: asked elsewhere, they are
        not."""
        region, main = self._aws.region, MAIN_REGIONS.get(self._aws.partition)
        if main in (None, region):
            return None
        elsewhere = Aws(replace(self._aws.place, region=main), timeouts=self._aws.backoff.timeouts)
        try:
            account = elsewhere.call("sts", "get_caller_identity")["Account"]
        except AwsError:
            return None
        seen = f"{region} is not enabled in account {account}: AWS accepts these credentials in {main} only"
        fix = f"aws account enable-region --region-name {region} (takes minutes), or choose another --region."
        return Check("identity", "failed", seen, fix)


def identity(account: str, arn: str) -> Check:
    """Whose credentials these are."""
    if arn.endswith(":root"):
        fix = "Make an IAM user or role for this (imgpipe policy prints what it needs), and sign in as that."
        return Check("identity", "warning", f"the root user of account {account}, who can do everything", fix)
    return Check("identity", "ok", f"{arn.split(':', 5)[-1]} of account {account}")
