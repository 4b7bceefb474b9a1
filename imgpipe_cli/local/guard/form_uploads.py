"""Browser form uploads to a bucket must be signed.

MiniStack verifies a signed form but takes an unsigned one for a public upload, whatever the bucket's
policy says.
"""

from __future__ import annotations

from typing import Any


def require_signature(s3: Any) -> None:
    """Refuse forms without policy and signature.

    `_enforce_post_policy_size` is what MiniStack asks about a form without a signature, and only then.
    """

    def refuse(policy: str, size: int) -> tuple[int, dict[str, str], bytes]:
        del policy, size
        return (
            403,
            {"Content-Type": "application/xml"},
            b"<Error><Code>AccessDenied</Code><Message>The form must be signed.</Message></Error>",
        )

    s3._enforce_post_policy_size = refuse
