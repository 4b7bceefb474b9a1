"""Who may invoke a function: one statement in its resource policy, compared and replaced by its id."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.iam.scopes import FUNCTION
from imgpipe_cli.aws.iam.uses import LOOK, UP, uses
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import Call, Change, Computed, Context, Observed, Resource
from imgpipe_cli.deploy.resources.external_access import external_access
from imgpipe_cli.deploy.resources.lambda_errors import LAMBDA_BUSY, NOT_VISIBLE

_TRANSIENT = (
    *LAMBDA_BUSY,
    NOT_VISIBLE,
)


class Permission(Resource):
    """A statement that lets one AWS service invoke one function for one source.

    Statements of one function are never added side by side: AWS may lose one of them.
    """

    iam = (
        *uses(LOOK, FUNCTION, "lambda.get_policy"),
        *uses(UP, FUNCTION, "lambda.add_permission", "lambda.remove_permission"),
    )
    serialize = True

    def __init__(
        self,
        name: str,
        title: str,
        function: str,
        *,
        service: str,
        source_arn: Callable[[Aws, Names], str],
        source_account: bool = False,
        needs: tuple[str, ...] = (),
    ) -> None:
        """source_account: also bind it to our account, for a source whose ARN names none."""
        self.name = name
        self.title = title
        self.function = function
        self.needs = (f"function.{function}", *needs)
        self.parent = f"function.{function}"
        self._service = service
        self._source_arn = source_arn
        self._source_account = source_account
        self._sid = f"imgpipe-{service.split('.', maxsplit=1)[0]}"

    def observe(self, aws: Aws, names: Names) -> Observed:
        snapshot = aws.together(
            {
                "policy": lambda: aws.find(
                    "lambda",
                    "get_policy",
                    FunctionName=names.function(self.function),
                ),
                "source": lambda: self._source_arn(aws, names),
            }
        )
        found = snapshot["policy"]
        document = json.loads(found["Policy"]) if found and found.get("Policy") else {}
        return self._observed(snapshot["source"], document)

    def _observed(self, source: str, document: Mapping[str, Any]) -> Observed:
        facts = {"source": source, "statement": None, "document": document}
        for statement in document.get("Statement", []):
            if statement.get("Sid") == self._sid:
                return Observed(exists=True, facts={**facts, "statement": _essence(statement)})
        return Observed(exists=False, facts=facts)

    def answered(
        self, _aws: Aws, context: Context, change: Change, answer: Mapping[str, Any]
    ) -> Observed | None:
        if change.call.label != "lambda.add_permission":
            return None
        facts = context.observed.facts
        others = [one for one in facts["document"].get("Statement", []) if one.get("Sid") != self._sid]
        return self._observed(facts["source"], {"Statement": [*others, json.loads(answer["Statement"])]})

    def unmanaged_changes(self, _aws: Aws, names: Names, observed: Observed) -> Iterator[str]:
        """Statements by which others call the function, past the API, its token and its throttle."""
        for statement, who in external_access(observed.facts["document"], names.account):
            yield f"statement {statement} lets {who} call function {names.function(self.function)}"

    def completed(self, observed: Observed, aws: Aws, names: Names) -> Observed:
        if not isinstance(observed.facts["source"], Computed):
            return observed
        return replace(observed, facts={**observed.facts, "source": self._source_arn(aws, names)})

    def diff(self, context: Context) -> Iterator[Change]:
        observed, names = context.observed, context.names
        function, source = names.function(self.function), observed.facts["source"]
        account = {"SourceAccount": names.account} if self._source_account else {}
        conditions = {"aws:sourcearn": source}
        if self._source_account:
            conditions["aws:sourceaccount"] = names.account
        wanted = ("Allow", self._service, "lambda:InvokeFunction", conditions)
        if observed.facts["statement"] == wanted:
            return
        where = {"FunctionName": function, "StatementId": self._sid}
        if observed.exists:
            yield Change(
                "remove",
                f"outdated permission {self._sid} of function {function}",
                Call("lambda", "remove_permission", where, _TRANSIENT),
            )
        params = {
            **where,
            "Action": "lambda:InvokeFunction",
            "Principal": self._service,
            "SourceArn": source,
            **account,
        }
        yield Change(
            "add",
            f"permission {self._sid} to function {function}",
            Call("lambda", "add_permission", params, _TRANSIENT),
        )


def _essence(statement: Mapping[str, Any]) -> tuple[Any, ...]:
    """(effect, service, action, conditions): condition keys come back in varying case."""
    principal = statement.get("Principal", {})
    return (
        statement.get("Effect"),
        principal.get("Service") if isinstance(principal, Mapping) else principal,
        statement.get("Action"),
        {
            key.lower(): value
            for operands in statement.get("Condition", {}).values()
            for key, value in operands.items()
        },
    )
