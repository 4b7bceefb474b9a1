"""How roles, functions and their failure queue really behave.

In brackets what says so: IAM, LM, DD, S3 and AG are AWS's guides, bc is botocore's model of the service, TF
the AWS provider of Terraform, CH Chalice, gh a thread on GitHub, R what LocalStack's tests recorded on AWS;
"infer" is concluded, "unsourced" assumed.
"""

from __future__ import annotations

import json
from typing import Any

from tests.support.behaving_aws import Answer, BehavingAccount, Behaviour, Call, Refusal

_MAKING = ("CreateFunction", "UpdateFunctionConfiguration")
_UPDATES = ("UpdateFunctionCode", "UpdateFunctionConfiguration")
_CONFLICT = "The operation cannot be performed at this time. "
_RESERVED = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_LAMBDA_")


def _role(account: BehavingAccount, call: Call) -> str:
    """The role of the function that the call is about."""
    arn = call.params.get("Role")
    if arn is None:
        made = account.last("CreateFunction", FunctionName=call.params["FunctionName"])
        arn = made.params["Role"] if made else ""
    return str(arn).rsplit("/", 1)[-1]


def _not_found(call: Call) -> Refusal:
    what = f"Function not found: {call.params.get('FunctionName')}"
    return Refusal("ResourceNotFoundException", what, 404)


# --- IAM -----------------------------------------------------------------------------------------


class RoleNotAssumable(Behaviour):
    """A new role is unknown to Lambda for 5 to 30 s. [CH; TF:lambda/function.go]"""

    lag = 15.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation in _MAKING and account.ago("CreateRole", RoleName=_role(account, call)) < self.lag:
            text = "The role defined for the function cannot be assumed by Lambda."
            return Refusal("InvalidParameterValueException", text)
        return None


class SourceAccountNotTold(Behaviour):
    """Lambda does not name the account when it takes a role, so a role that asks for it is never taken.
    [whether that is so: unknown; of other services: gh:prowler-cloud/prowler#2810]"""

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation not in _MAKING:
            return None
        role = {"RoleName": _role(account, call)}
        both = (account.last("CreateRole", **role), account.last("UpdateAssumeRolePolicy", **role))
        last = max((one for one in both if one), key=lambda one: one.number)
        if "aws:SourceAccount" in str(last.params):
            text = "The role defined for the function cannot be assumed by Lambda."
            return Refusal("InvalidParameterValueException", text)
        return None


class KeyNotGranted(Behaviour):
    """AWS's own key of the environment does not know a new role yet. [TF:lambda/function.go]"""

    lag = 12.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation in _MAKING and account.ago("CreateRole", RoleName=_role(account, call)) < self.lag:
            text = (
                "Lambda was unable to configure access to your environment variables because the KMS key is "
                "invalid for CreateGrant. Please check your KMS key settings."
            )
            return Refusal("InvalidParameterValueException", text)
        return None


class RoleChangesCollide(Behaviour):
    """IAM takes one change of a role at a time. [bc:iam/ConcurrentModificationException]"""

    lag = 1.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        role = call.params.get("RoleName")
        changes = [h for h in account.history if h.service == "iam" and h.params.get("RoleName") == role]
        late = changes and account.clock.now - changes[-1].at < self.lag
        if call.service == "iam" and not call.is_read and late:
            text = "Multiple requests to change this object were submitted simultaneously."
            return Refusal("ConcurrentModification", text, 409)
        return None


class PolicyNotVisible(Behaviour):
    """What a role's new policy allows is not in force at once; Lambda checks it for the failure queue.
    [TF:lambda/function_event_invoke_config.go; text: gh:elastic/beats#13963]"""

    lag = 40.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation == "PutFunctionEventInvokeConfig":
            role = _role(account, call)
            if account.ago("PutRolePolicy", RoleName=role) < self.lag:
                text = "The provided execution role does not have permissions to call SendMessage on SQS"
                return Refusal("InvalidParameterValueException", text)
        return None


class FreshRole(Behaviour):
    """A new role is not visible everywhere within IAM either. [TF:iam/role.go]"""

    lag = 3.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        role = call.params.get("RoleName")
        fresh = account.ago("CreateRole", RoleName=role) < self.lag
        if call.service == "iam" and call.operation != "CreateRole" and fresh:
            return Refusal("NoSuchEntity", f"The role with name {role} cannot be found.", 404)
        return None


class DeletedRoleSeen(Behaviour):
    """A deleted role is shown for a while: IAM is eventually consistent. [IAM:troubleshoot_general]"""

    lag = 4.0

    def looks_back(self, account: BehavingAccount, call: Call) -> bool:
        role = call.params.get("RoleName")
        return call.operation == "GetRole" and account.ago("DeleteRole", RoleName=role) < self.lag


class RoleDeleteConflict(Behaviour):
    """A policy taken off a moment ago still keeps its role from going. [TF:iam/role.go]"""

    lag = 2.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        role = call.params.get("RoleName")
        if call.operation == "DeleteRole" and account.ago("DeleteRolePolicy", RoleName=role) < self.lag:
            return Refusal("DeleteConflict", "Cannot delete entity, must delete policies first.", 409)
        return None


# --- Lambda --------------------------------------------------------------------------------------


class FunctionNotVisible(Behaviour):
    """A new function is 404 for a moment. [TF:lambda/function.go]"""

    lag = 2.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        function = call.params.get("FunctionName")
        fresh = account.ago("CreateFunction", FunctionName=function) < self.lag
        if call.service == "lambda" and call.operation != "CreateFunction" and fresh:
            return _not_found(call)
        return None


class FunctionPending(Behaviour):
    """A new function is Pending, and takes no other change meanwhile.
    [LM:functions-states; text: gh:remotion-dev/remotion#1186]"""

    lag = 6.0
    refused = (*_UPDATES, "AddPermission", "PutFunctionEventInvokeConfig", "PutFunctionConcurrency")

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation in self.refused and self._pending(account, call):
            text = f"{_CONFLICT}The function is currently in the following state: Pending"
            return Refusal("ResourceConflictException", text, 409)
        return None

    def alter(self, account: BehavingAccount, call: Call, answer: dict[str, Any]) -> bool:
        pending = call.operation == "GetFunction" and self._pending(account, call)
        if pending:
            answer["Configuration"] |= {"State": "Pending", "StateReason": "The function is being created."}
        return pending

    def _pending(self, account: BehavingAccount, call: Call) -> bool:
        return account.ago("CreateFunction", FunctionName=call.params["FunctionName"]) < self.lag


class UpdateInProgress(Behaviour):
    """After an update the function is InProgress, and a second one is refused; a moment longer than
    GetFunction says so. [bc:lambda/UpdateFunctionCode; gh:alexcasalboni/aws-lambda-power-tuning#175]"""

    lag = 5.0
    longer = 2.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation in _UPDATES and self._ago(account, call) < self.lag + self.longer:
            text = f"{_CONFLICT}An update is in progress for resource: {call.params['FunctionName']}"
            return Refusal("ResourceConflictException", text, 409)
        return None

    def alter(self, account: BehavingAccount, call: Call, answer: dict[str, Any]) -> bool:
        shown = call.operation == "GetFunction" and self._ago(account, call) < self.lag
        if shown:
            answer["Configuration"]["LastUpdateStatus"] = "InProgress"
        return shown

    def _ago(self, account: BehavingAccount, call: Call) -> float:
        function = call.params["FunctionName"]
        return min(account.ago(update, FunctionName=function) for update in _UPDATES)


class RoleIsGranted(Behaviour):
    """What decrypts a function's environment is granted to the role that it was given, not to its name: after
    that role was made anew every call fails, until the function is given another and then the right one.
    [AWS re:Post: lambda-kmsaccessdeniedexception-errors; gh:hashicorp/terraform-provider-aws#9703]"""

    def __init__(self) -> None:
        super().__init__()
        # Function -> its role, and the number of the making of that role.
        self._granted: dict[str, tuple[str, int]] = {}

    def after(self, account: BehavingAccount, call: Call) -> None:
        if call.operation in _MAKING and "Role" in call.params:
            function, role = call.params["FunctionName"], _role(account, call)
            if call.operation == "CreateFunction" or self._granted[function][0] != role:
                self._granted[function] = role, self._made(account, role)

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation != "Invoke":
            return None
        role, made = self._granted[call.params["FunctionName"]]
        if self._made(account, role) == made:
            return None
        text = "Lambda was unable to decrypt the environment variables because KMS access was denied."
        return Refusal("KMSAccessDeniedException", text, 502)

    def _made(self, account: BehavingAccount, role: str) -> int:
        made = account.last("CreateRole", RoleName=role)
        assert made is not None, f"there is no role {role}"
        return made.number


class ConcurrentUpdate(Behaviour):
    """What belongs to a function is refused while the function is changed by something else.
    [TF:lambda/permission.go, function_event_invoke_config.go]"""

    lag = 3.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        refused = (
            "AddPermission",
            "RemovePermission",
            "PutFunctionEventInvokeConfig",
            "PutFunctionConcurrency",
        )
        if call.operation not in refused:
            return None
        function = call.params["FunctionName"]
        changes = ("CreateFunction", "AddPermission", "RemovePermission", *_UPDATES)
        if min(account.ago(change, FunctionName=function) for change in changes) < self.lag:
            text = "The function could not be updated due to a concurrent update operation."
            return Refusal("ResourceConflictException", text, 409)
        return None


class FunctionDeleting(Behaviour):
    """A deleted function is Deleting for a while, and its name not free. [TF:lambda/function.go; that a
    create is refused so: infer]"""

    lag = 5.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation in ("CreateFunction", "DeleteFunction") and self._deleting(account, call):
            text = f"{_CONFLICT}The function is currently in the following state: Deleting"
            return Refusal("ResourceConflictException", text, 409)
        return None

    def looks_back(self, account: BehavingAccount, call: Call) -> bool:
        return call.operation == "GetFunction" and self._deleting(account, call)

    def alter(self, account: BehavingAccount, call: Call, answer: dict[str, Any]) -> bool:
        deleting = self.looks_back(account, call)
        if deleting:
            answer["Configuration"]["State"] = "Deleting"
        return deleting

    def _deleting(self, account: BehavingAccount, call: Call) -> bool:
        return account.ago("DeleteFunction", FunctionName=call.params["FunctionName"]) < self.lag


class DuplicateStatement(Behaviour):
    """A statement id that is there is refused. [bc:lambda/AddPermission]"""

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation != "AddPermission":
            return None
        sid, function = call.params["StatementId"], call.params["FunctionName"]
        where = {"FunctionName": function, "StatementId": sid}
        if not account.is_there("AddPermission", "RemovePermission", **where):
            return None
        if not account.is_there("AddPermission", "DeleteFunction", FunctionName=function):
            return None
        text = (
            f"The statement id ({sid}) provided already exists. Please provide a new statement id, or "
            "remove the existing statement."
        )
        return Refusal("ResourceConflictException", text, 409)


class StatementNotReadable(Behaviour):
    """A new statement of a function's policy is not readable at once. [TF:lambda/permission.go]"""

    lag = 4.0

    def alter(self, account: BehavingAccount, call: Call, answer: dict[str, Any]) -> bool:
        if call.operation != "GetPolicy":
            return False
        document = json.loads(answer["Policy"])
        function = call.params["FunctionName"]
        seen = [
            statement
            for statement in document["Statement"]
            if account.ago("AddPermission", FunctionName=function, StatementId=statement["Sid"]) >= self.lag
        ]
        hidden = len(seen) < len(document["Statement"])
        answer["Policy"] = json.dumps({**document, "Statement": seen})
        return hidden


class EnvironmentChecked(Behaviour):
    """An environment over 4 KB, or with a reserved name, is refused. [LM:configuration-envvars]"""

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:  # noqa: ARG002
        if call.operation not in _MAKING:
            return None
        variables = call.params.get("Environment", {}).get("Variables", {})
        reserved = [name for name in variables if name.startswith(_RESERVED)]
        if reserved or len(json.dumps(variables)) > 4096:
            text = f"Lambda was unable to configure your environment variables: {reserved or 'over 4 KB'}"
            return Refusal("InvalidParameterValueException", text)
        return None


class UnreservedMinimum(Behaviour):
    """An account keeps so much concurrency for functions without a reservation: 100, or all of a new one's
    ten. [LM:configuration-concurrency; text: gh:localstack/localstack, recorded answers of Lambda]

    account: how many functions may run at once in all.
    """

    def __init__(self, account: int = 10) -> None:
        super().__init__()
        self.account = account

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:  # noqa: ARG002
        if call.operation == "GetAccountSettings":
            limit = {
                "ConcurrentExecutions": self.account,
                "UnreservedConcurrentExecutions": self.account,
            }
            return Answer({"AccountLimit": limit})
        kept = min(self.account, 100)
        if (
            call.operation == "PutFunctionConcurrency"
            and self.account - call.params["ReservedConcurrentExecutions"] < kept
        ):
            text = (
                "Specified ReservedConcurrentExecutions for function decreases account's "
                f"UnreservedConcurrentExecution below its minimum value of [{kept}]."
            )
            return Refusal("InvalidParameterValueException", text)
        return None


class FunctionFails(Behaviour):
    """Lambda cannot make the function. [LM:functions-states]"""

    reason = "The function's role was deleted while it was being created."

    def alter(self, account: BehavingAccount, call: Call, answer: dict[str, Any]) -> bool:  # noqa: ARG002
        if call.operation == "GetFunction":
            answer["Configuration"] |= {"State": "Failed", "StateReason": self.reason}
        return call.operation == "GetFunction"


class UpdateFails(Behaviour):
    """Lambda cannot carry out an update. [bc:lambda/FunctionConfiguration]"""

    reason = "The function's execution role cannot read the key that encrypts its environment."

    def alter(self, account: BehavingAccount, call: Call, answer: dict[str, Any]) -> bool:  # noqa: ARG002
        if call.operation == "GetFunction":
            reason = {"LastUpdateStatusReason": self.reason}
            answer["Configuration"] |= {"LastUpdateStatus": "Failed", **reason}
        return call.operation == "GetFunction"


# --- the failure queue ---------------------------------------------------------------------------

_NO_QUEUE = "AWS.SimpleQueueService.NonExistentQueue"


class QueueNotVisible(Behaviour):
    """A queue can be used a second after it was made. [bc:sqs/CreateQueue]"""

    lag = 1.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        name = call.params.get("QueueName") or str(call.params.get("QueueUrl", "")).rsplit("/", 1)[-1]
        fresh = account.ago("CreateQueue", QueueName=name) < self.lag
        if call.service == "sqs" and call.operation != "CreateQueue" and fresh:
            return Refusal(_NO_QUEUE, "The specified queue does not exist.")
        return None


class QueueDeletedRecently(Behaviour):
    """The name of a deleted queue is kept for 60 s, in which the queue may still answer.
    [TF:sqs/queue.go; bc:sqs/DeleteQueue]"""

    lag = 60.0
    answers = 20.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation == "CreateQueue" and self._ago(account, call.params["QueueName"]) < self.lag:
            text = (
                "You must wait 60 seconds after deleting a queue before you can create another with its name."
            )
            return Refusal("AWS.SimpleQueueService.QueueDeletedRecently", text)
        return None

    def looks_back(self, account: BehavingAccount, call: Call) -> bool:
        if call.operation not in ("GetQueueUrl", "GetQueueAttributes", "ListQueueTags"):
            return False
        name = call.params.get("QueueName") or str(call.params["QueueUrl"]).rsplit("/", 1)[-1]
        return self._ago(account, name) < self.answers

    def _ago(self, account: BehavingAccount, name: str) -> float:
        deleted = [h for h in account.history if h.operation == "DeleteQueue"]
        times = [h.at for h in deleted if str(h.params["QueueUrl"]).endswith(f"/{name}")]
        return account.clock.now - max(times, default=float("-inf"))


class EmptyDestinations(Behaviour):
    """Lambda tells of a destination on success that nobody asked for, without an address; written back so it
    is refused. [R: a recording of GetFunctionEventInvokeConfig of 2025-11-25; the refusal: infer]"""

    def alter(self, account: BehavingAccount, call: Call, answer: dict[str, Any]) -> bool:  # noqa: ARG002
        if call.operation == "GetFunctionEventInvokeConfig":
            answer["DestinationConfig"] = {"OnSuccess": {}, **answer["DestinationConfig"]}
        return call.operation == "GetFunctionEventInvokeConfig"

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:  # noqa: ARG002
        given = call.params.get("DestinationConfig", {})
        if call.operation == "PutFunctionEventInvokeConfig" and not all(given.values()):
            return Refusal("InvalidParameterValueException", "A destination has no address.")
        return None


class DestinationChecked(Behaviour):
    """An on-failure destination that is not there, or not yet known to Lambda, is refused.
    [TF:lambda/function_event_invoke_config.go; text: gh:serverless/serverless#7507]"""

    lag = 45.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation == "PutFunctionEventInvokeConfig":
            arn = call.params["DestinationConfig"]["OnFailure"]["Destination"]
            if not self.lag <= account.ago("CreateQueue", QueueName=arn.rsplit(":", 1)[1]) < float("inf"):
                text = f"The destination ARN {arn} is invalid."
                return Refusal("InvalidParameterValueException", text)
        return None
