"""How API Gateway, Logs, tags and quotas really behave.

In brackets what says so: see behaviours_of_functions.py.
"""

from __future__ import annotations

import math
from typing import Any

from botocore.exceptions import ConnectionClosedError

from tests.support import behaviours_of_functions, behaviours_of_stores
from tests.support.behaving_aws import BehavingAccount, Behaviour, Call, Refusal

# --- API Gateway ---------------------------------------------------------------------------------


def _is_change(call: Call) -> bool:
    return call.service == "apigatewayv2" and not call.is_read


class ChangesCollide(Behaviour):
    """API Gateway takes one change of an API at a time. [gh:hashicorp/terraform-provider-aws#18018]"""

    lag = 0.5

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        api = call.params.get("ApiId")
        if not _is_change(call) or api is None:
            return None
        changes = [h for h in account.history if h.params.get("ApiId") == api]
        if changes and account.clock.now - changes[-1].at < self.lag:
            text = "Unable to complete operation due to concurrent modification. Please try again later."
            return Refusal("ConflictException", text, 409)
        return None


class TooManyChanges(Behaviour):
    """The control plane takes 10 requests a second for the whole account; here with a small burst, so that
    one pipeline meets it. [AG:limits]"""

    rate, burst = 10.0, 6.0

    def __init__(self) -> None:
        super().__init__()
        self._left, self._at = self.burst, 0.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.service != "apigatewayv2":
            return None
        now = account.clock.now
        self._left, self._at = min(self.burst, self._left + (now - self._at) * self.rate), now
        if self._left < 1:
            return Refusal("TooManyRequestsException", "Too Many Requests", 429)
        self._left -= 1
        return None


class DeletedApiListed(Behaviour):
    """A deleted API is listed for a while. [infer: no page says that the list is consistent]"""

    lag = 4.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        api = call.params.get("ApiId")
        # moto deletes what is gone without a word.
        if call.operation == "DeleteApi" and account.ago("DeleteApi", ApiId=api) < float("inf"):
            return Refusal("NotFoundException", f"Invalid API identifier specified {api}", 404)
        return None

    def looks_back(self, account: BehavingAccount, call: Call) -> bool:
        return call.operation == "GetApis" and account.ago("DeleteApi") < self.lag


class FunctionNeeded(Behaviour):
    """An integration with a function that is not there is refused. [unsourced: the opposite is usual]"""

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation == "CreateIntegration":
            function = call.params["IntegrationUri"].rsplit(":", 1)[1]
            if not account.is_there("CreateFunction", "DeleteFunction", FunctionName=function):
                return Refusal("BadRequestException", "Invalid function ARN or invalid uri")
        return None


class LogDelivery(Behaviour):
    """Access logs: their delivery is set up when the first stage asks for it. [AG:http-api-logging]"""

    lag = 5.0

    def __init__(self, lag: float | None = None) -> None:
        super().__init__(lag)
        self._asked: float | None = None

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation != "CreateStage":
            return None
        self._asked = account.clock.now if self._asked is None else self._asked
        if account.clock.now - self._asked < self.lag:
            text = "Insufficient permissions to enable logging (Service: AmazonCloudWatchLogs)"
            return Refusal("BadRequestException", text)
        return None


# --- Logs ----------------------------------------------------------------------------------------

_RETENTIONS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922)
_LONG_RETENTIONS = (3288, 3653)


class LogGroupBusy(Behaviour):
    """A second change of a log group in the same moment is aborted. [bc:logs]"""

    lag = 1.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation in ("PutRetentionPolicy", "DeleteLogGroup"):
            group = call.params["logGroupName"]
            changes = ("CreateLogGroup", "PutRetentionPolicy")
            if min(account.ago(change, logGroupName=group) for change in changes) < self.lag:
                text = "A conflicting operation is currently in progress against this resource."
                return Refusal("OperationAbortedException", text)
        return None


class RetentionChecked(Behaviour):
    """Logs keep lines for certain numbers of days only. [bc:logs/Days]"""

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:  # noqa: ARG002
        days = call.params.get("retentionInDays")
        if call.operation == "PutRetentionPolicy" and days not in (*_RETENTIONS, *_LONG_RETENTIONS):
            return Refusal("InvalidParameterException", f"{days} is no valid retention")
        return None


# --- tags ----------------------------------------------------------------------------------------


class TagsLag(Behaviour):
    """The tags of a new thing are not readable at once. [tables: bc:dynamodb/TagResource; buckets:
    S3:Welcome; elsewhere infer]"""

    lag = 6.0

    def __init__(self, lag: float | None = None, *, service: str = "") -> None:
        """service: of this one only."""
        super().__init__(lag)
        self._service = service

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if self._service not in ("", call.service):
            return None
        fresh = account.ago("CreateBucket", Bucket=call.params.get("Bucket")) < self.lag
        if call.operation == "GetBucketTagging" and fresh:
            return Refusal("NoSuchTagSet", "The TagSet does not exist", 404)
        return None

    def alter(self, account: BehavingAccount, call: Call, answer: dict[str, Any]) -> bool:
        if self._service not in ("", call.service):
            return False
        params = call.params
        hide: tuple[float, dict[str, Any], str, Any]
        match call.service, call.operation:
            case "lambda", "GetFunction":
                age = account.ago("CreateFunction", FunctionName=params["FunctionName"])
                hide = age, answer, "Tags", {}
            case "iam", "GetRole":
                hide = account.ago("CreateRole", RoleName=params["RoleName"]), answer["Role"], "Tags", []
            case "logs", "ListTagsForResource":
                group = params["resourceArn"].rsplit(":", 1)[1]
                hide = account.ago("CreateLogGroup", logGroupName=group), answer, "tags", {}
            case "ssm", "ListTagsForResource":
                hide = self._parameter(account, params["ResourceId"]), answer, "TagList", []
            case "dynamodb", "ListTagsOfResource":
                table = params["ResourceArn"].rsplit("/", 1)[1]
                hide = account.ago("CreateTable", TableName=table), answer, "Tags", []
            case "sqs", "ListQueueTags":
                queue = params["QueueUrl"].rsplit("/", 1)[1]
                hide = account.ago("CreateQueue", QueueName=queue), answer, "Tags", {}
            case "apigatewayv2", "GetApis":
                return sum(self._hidden(account, api) for api in answer["Items"]) > 0
            case _:
                return False
        age, where, key, empty = hide
        if age < self.lag:
            where[key] = empty
        return age < self.lag

    def _parameter(self, account: BehavingAccount, name: str) -> float:
        """Seconds since it was made: an update has no tags."""
        made = [h.at for h in account.history if h.params.get("Name") == name and "Tags" in h.params]
        return account.clock.now - max(made, default=float("-inf"))

    def _hidden(self, account: BehavingAccount, api: dict[str, Any]) -> bool:
        hidden = account.ago("CreateApi", Name=api["Name"]) < self.lag
        if hidden:
            api["Tags"] = {}
        return hidden


# --- reads that lag ------------------------------------------------------------------------------


class _ReadsLag(Behaviour):
    """Every read of the service answers what it did before the service's last change: what is new is missing,
    what was removed is listed. [infer: no page says that the reads are consistent]"""

    lag = 4.0
    service: str

    def looks_back(self, account: BehavingAccount, call: Call) -> bool:
        changed = [h.at for h in account.history if h.service == self.service]
        late = bool(changed) and account.clock.now - changed[-1] < self.lag
        return call.service == self.service and late


class ParametersLag(_ReadsLag):
    service = "ssm"


class LogGroupsLag(_ReadsLag):
    service = "logs"


class ApisLag(_ReadsLag):
    service = "apigatewayv2"


class ParameterBusy(Behaviour):
    """Two changes of one parameter in a short time. [bc:ssm/TooManyUpdates; how long: unsourced]"""

    lag = 10.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        name = call.params.get("Name")
        if call.operation == "PutParameter" and account.ago("PutParameter", Name=name) < self.lag:
            return Refusal("TooManyUpdates", "There are too many updates for this parameter.")
        return None


# --- at one operation ----------------------------------------------------------------------------


class Refused(Behaviour):
    """One operation is refused: always, as with a quota that is used up, or so many times.
    [IAM:reference_iam-quotas]"""

    def __init__(self, operation: str, *refusals: Refusal, times: float = math.inf) -> None:
        """refusals: they take turns."""
        super().__init__()
        self._operation, self._refusals, self._left = operation, list(refusals), times

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:  # noqa: ARG002
        if call.operation != self._operation or self._left <= 0:
            return None
        self._left -= 1
        self._refusals.append(self._refusals.pop(0))
        return self._refusals[-1]


class AnswerLost(Behaviour):
    """The connection breaks once, after the operation was carried out."""

    def __init__(self, operation: str) -> None:
        super().__init__()
        self._operation = operation

    def after(self, account: BehavingAccount, call: Call) -> None:
        if call.operation == self._operation and not account.met[self.name]:
            account.met[self.name] += 1
            raise ConnectionClosedError(endpoint_url=call.service)


# --- all -----------------------------------------------------------------------------------------

# What passes by itself. Each is met by a pipeline that is set up, changed, removed and set up again.
PASSING: tuple[type[Behaviour], ...] = (
    behaviours_of_functions.RoleNotAssumable,
    behaviours_of_functions.KeyNotGranted,
    behaviours_of_functions.RoleChangesCollide,
    behaviours_of_functions.PolicyNotVisible,
    behaviours_of_functions.FreshRole,
    behaviours_of_functions.DeletedRoleSeen,
    behaviours_of_functions.RoleDeleteConflict,
    behaviours_of_functions.FunctionNotVisible,
    behaviours_of_functions.FunctionPending,
    behaviours_of_functions.UpdateInProgress,
    behaviours_of_functions.ConcurrentUpdate,
    behaviours_of_functions.FunctionDeleting,
    behaviours_of_functions.StatementNotReadable,
    behaviours_of_functions.QueueNotVisible,
    behaviours_of_functions.QueueDeletedRecently,
    behaviours_of_functions.DestinationChecked,
    behaviours_of_functions.EmptyDestinations,
    behaviours_of_stores.BucketDefaults,
    behaviours_of_stores.FreshBucket,
    behaviours_of_stores.PartsCollide,
    behaviours_of_stores.PartsLag,
    behaviours_of_stores.BucketRecreated,
    behaviours_of_stores.DeletedBucketSeen,
    behaviours_of_stores.PermissionNotVisible,
    behaviours_of_stores.TableCreating,
    behaviours_of_stores.TableDeleting,
    behaviours_of_stores.TableUpdating,
    ChangesCollide,
    TooManyChanges,
    DeletedApiListed,
    FunctionNeeded,
    LogDelivery,
    LogGroupBusy,
    ParametersLag,
    LogGroupsLag,
    ApisLag,
    ParameterBusy,
    TagsLag,
)
# What AWS checks and a sound pipeline never meets.
CHECKS: tuple[type[Behaviour], ...] = (
    behaviours_of_functions.DuplicateStatement,
    behaviours_of_functions.EnvironmentChecked,
    behaviours_of_stores.BucketNames,
    behaviours_of_stores.OverlappingRules,
    RetentionChecked,
)
