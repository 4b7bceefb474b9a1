"""What Lambda answers to a change of a function that passes with time."""

from __future__ import annotations

from imgpipe_cli.deploy.resource import IAM_DELAY, Fallback, TransientError
from imgpipe_cli.events import Note

_ROLE_HINT = (
    "If it never passes: may Lambda take the role? Its trust policy must name lambda.amazonaws.com, and no "
    "policy of the organization may deny sts:AssumeRole. Then run the command again: it continues here."
)
# Longer than a look at the function waits for it: that one then tells the state, and why.
_PENDING_S = 700.0
# What Lambda answers to any change of a function that it is at work on. The same code with another text may
# mean that a thing is there already.
LAMBDA_BUSY = (
    TransientError("ResourceConflictException", "state: Deleting", "the old function is still going"),
    TransientError(
        "ResourceConflictException", "update is in progress", "Lambda is still updating the function"
    ),
    TransientError(
        "ResourceConflictException", "state: Pending", "Lambda is still making the function", _PENDING_S
    ),
    TransientError(
        "ResourceConflictException",
        "concurrent update operation",
        "Lambda is still working on another change of the function",
    ),
)
NOT_VISIBLE = TransientError(
    "ResourceNotFoundException", "", "the new function is not visible everywhere yet", 60
)
CHANGING = (
    TransientError(
        "InvalidParameterValueException",
        "cannot be assumed by Lambda",
        IAM_DELAY,
        hint=_ROLE_HINT,
        # Nobody has shown that Lambda names the account when it takes a role.
        fallback=Fallback({"source_account": False}, Note("source_account_left_out")),
    ),
    TransientError("InvalidParameterValueException", "execution role does not have permissions", IAM_DELAY),
    # The key of the environment is AWS's own: what it does not know yet is the role.
    TransientError(
        "InvalidParameterValueException", "KMS key is invalid for CreateGrant", IAM_DELAY, hint=_ROLE_HINT
    ),
    *LAMBDA_BUSY,
    NOT_VISIBLE,
)
