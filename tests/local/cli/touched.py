"""What of a pipeline a request is about: the resources whose names stand in it."""

from __future__ import annotations

import re

from imgpipe_cli.aws.names import FUNCTIONS, INDEX, Names


def touched_arns(names: Names, text: str) -> set[str]:
    """The ARNs of what is named as a whole word; the operation says which of them it is about."""
    found = {arn for arn, name in _called(names).items() if _word(name).search(text)}
    index = f"{names.table_arn}/index/{INDEX}"
    return found | {index} if names.table_arn in found and f'"IndexName": "{INDEX}"' in text else found


def _called(names: Names) -> dict[str, str]:
    """ARN -> the name that requests have."""
    groups = [*map(names.log_group, FUNCTIONS), names.access_log_group]
    parameters = (names.settings_parameter, names.token_parameter)
    return {
        names.bucket_arn: names.bucket,
        names.results_bucket_arn: names.results_bucket,
        names.table_arn: names.table,
        names.index_table_arn: names.index_table,
        names.queue_arn: names.queue,
        **{names.parameter_arn(one): one for one in parameters},
        **{names.role_arn(one): names.role(one) for one in FUNCTIONS},
        **{names.function_arn(one): names.function(one) for one in FUNCTIONS},
        **{names.log_group_arn(one): one for one in groups},
    }


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")


def about(arn: str, action: str, operation: str, arns: set[str]) -> bool:
    """Whether the action, in this operation, is about the ARN: a request may name other things too."""
    service = action.partition(":")[0]
    if f":{service}:" not in arn:
        return False
    # Of a scan by the index DynamoDB checks the index alone; a table is made together with it.
    by_index = operation == "scan" and any("/index/" in one for one in arns)
    return "/index/" not in arn if not by_index else "/index/" in arn
