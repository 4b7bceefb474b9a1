"""An IAM user of the local cloud who runs imgpipe and may do what a policy says, and nothing else."""

from __future__ import annotations

import _thread
import contextlib
import io
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.aws.names import Names
from imgpipe_cli.cli import main
from tests.local.cli.sent_calls import Sent, recorded
from tests.local.cli.touched import touched_arns
from tests.support.machine import Machine, client

POLICY = "operator"
# What the local cloud checks against `*`, since it does not find the resource in the request.
CHECKED_AGAINST_ANY = ("dynamodb:ListTagsOfResource", "lambda:CreateFunction")
# What it checks by another name than AWS: that of the operation, or of another one on the same path.
CHECKED_AS = {
    "lambda:DeleteFunctionConcurrency": "lambda:PutFunctionConcurrency",
    "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch",
    "sqs:DeleteMessage": "sqs:DeleteMessageBatch",
}


def as_checked_here(policy: Mapping[str, Any]) -> dict[str, Any]:
    """The policy as the local cloud has to have it to check what AWS checks. Of a log group it knows the ARN
    without `:*` only."""
    statements = [
        {
            **one,
            "Action": [*one["Action"], *(CHECKED_AS[a] for a in one["Action"] if a in CHECKED_AS)],
            "Resource": [arn.removesuffix(":*") for arn in one["Resource"]],
        }
        for one in policy["Statement"]
    ]
    named = {action for one in statements for action in one["Action"]}
    everywhere = [action for action in CHECKED_AGAINST_ANY if action in named]
    if everywhere:
        statements.append({"Effect": "Allow", "Action": everywhere, "Resource": ["*"]})
    return {**policy, "Statement": statements}


@dataclass(frozen=True)
class Ended:
    """A command line that ended, in this process."""

    code: int
    out: str
    err: str


@dataclass
class Operator:
    """machine: whose local cloud it is. sent: the calls of each command so far. touched: what they name."""

    machine: Machine
    state: Path
    names: Names
    user: str
    key: Mapping[str, str]
    sent: dict[str, set[Sent]] = field(default_factory=lambda: defaultdict(set))
    touched: dict[tuple[str, Sent], set[str]] = field(default_factory=lambda: defaultdict(set))
    clients: dict[str, Any] = field(default_factory=dict)

    def allow(self, policy: Mapping[str, Any]) -> None:
        """Exactly this from now on."""
        document = json.dumps(as_checked_here(policy))
        self.machine.client("iam").put_user_policy(
            UserName=self.user, PolicyName=POLICY, PolicyDocument=document
        )

    def remove(self) -> None:
        iam = self.machine.client("iam")
        iam.delete_access_key(UserName=self.user, AccessKeyId=self.key["AccessKeyId"])
        iam.delete_user_policy(UserName=self.user, PolicyName=POLICY)
        iam.delete_user(UserName=self.user)

    def client(self, service: str) -> Any:
        """A plain AWS client with the operator's key."""
        if service not in self.clients:
            cloud = self.machine.cloud()
            key = (self.key["AccessKeyId"], self.key["SecretAccessKey"])
            self.clients[service] = client(service, cloud.endpoint, *key)
        return self.clients[service]

    def forget(self) -> None:
        """As if another machine had set the pipeline up."""
        for file in self.state.glob("*.json"):
            file.unlink()

    def run(self, command: str, *arguments: str, code: int = 0, until: Sent | None = None) -> Ended:
        """Run one command line as the operator. until: the call after which Ctrl-C is pressed."""

        def told(call: Sent, text: str) -> None:
            self._note(command, call, text)
            if call == until:
                _thread.interrupt_main()

        line = (command, "--local", "--project", self.names.project, *arguments)
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            recorded(told),
        ):
            patch.setenv("IMGPIPE_STATE_DIR", str(self.state))
            patch.chdir(self.state)
            found = Ended(main(line), out.getvalue(), err.getvalue())
        assert found.code == code, f"{line}: exit {found.code}\n{out.getvalue()}\n{err.getvalue()}"
        return found

    def during(self, command: str, work: Callable[[], Any]) -> Any:
        """Count the calls of a part of a command among the command's."""
        with recorded(partial(self._note, command)):
            return work()

    def _note(self, command: str, call: Sent, text: str) -> None:
        self.sent[command].add(call)
        self.touched[command, call] |= touched_arns(self.names, text)


def make_operator(machine: Machine, folder: Path, names: Names) -> Operator:
    """The user, with no rights yet, on a machine of their own that knows where the local cloud is."""
    iam = machine.client("iam")
    user = f"operator-of-{names.project}"
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    (folder / "local").mkdir(parents=True)
    cloud = json.loads((machine.state / "local" / "cloud.json").read_text())
    own = {**cloud, "access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}
    (folder / "local" / "cloud.json").write_text(json.dumps(own))
    # A cloud is believed to run only while its lock is held.
    (folder / "local" / "cloud.lock").hardlink_to(machine.state / "local" / "cloud.lock")
    return Operator(machine, folder, names, user, key)
