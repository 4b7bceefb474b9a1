"""The keys of the local cloud: the administrator's for the command line, and one session for each function.

Both are ordinary IAM identities to MiniStack, so every signature, expiry and policy is really checked;
MiniStack's root key, which it never checks, is known to nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode

from imgpipe_cli.local.emulator.environment import ACCOUNT
from imgpipe_cli.local.files import LocalFiles, read_json, write_json

ADMINISTRATOR = "imgpipe-local-administrator"
_EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


@dataclass(frozen=True)
class Key:
    access_key_id: str
    secret_access_key: str


class Keys:
    """Knows which access key ids were issued here. Stands on MiniStack's stores of keys and sessions."""

    def __init__(self, iam_svc: Any, sts_svc: Any) -> None:
        self._iam = iam_svc
        self._sts = sts_svc

    def known(self, access_key_id: str) -> bool:
        if access_key_id in self._sts._sessions:
            return True
        return self._iam._access_keys.get_scoped(ACCOUNT, None, access_key_id) is not None

    def administrator(self, access_key_id: str) -> bool:
        """Whether this is a key of the local administrator."""
        record = self._iam._access_keys.get_scoped(ACCOUNT, None, access_key_id)
        return bool(record) and record.get("UserName") == ADMINISTRATOR

    def matches(self, key: Key) -> bool:
        """Whether the stored state still holds this very key."""
        record = self._iam._access_keys.get_scoped(ACCOUNT, None, key.access_key_id)
        return bool(record) and record.get("SecretAccessKey") == key.secret_access_key


async def administrator(files: LocalFiles, iam_svc: Any, keys: Keys) -> Key:
    """The administrator's key: the one used before while the state still has it, else a new one."""
    saved = read_json(files.credentials, access_key_id=str, secret_access_key=str)
    if saved is not None:
        key = Key(saved["access_key_id"], saved["secret_access_key"])
        if keys.matches(key):
            return key
    await _iam(iam_svc, "CreateUser", UserName=ADMINISTRATOR)
    await _iam(
        iam_svc, "PutUserPolicy", UserName=ADMINISTRATOR, PolicyName="everything", PolicyDocument=_EVERYTHING
    )
    # A user may have two keys; those of earlier times, whose secrets are lost, make room.
    listed = await _iam(iam_svc, "ListAccessKeys", UserName=ADMINISTRATOR)
    for old in re.findall(r"<AccessKeyId>([^<]+)</AccessKeyId>", listed):
        await _iam(iam_svc, "DeleteAccessKey", UserName=ADMINISTRATOR, AccessKeyId=old)
    created = await _iam(iam_svc, "CreateAccessKey", UserName=ADMINISTRATOR)
    found = re.search(r"<AccessKeyId>([^<]+)</.*<SecretAccessKey>([^<]+)</", created, re.DOTALL)
    if not found:
        raise RuntimeError("MiniStack made no access key")
    key = Key(found[1], found[2])
    write_json(files.credentials, asdict(key))
    return key


async def _iam(iam_svc: Any, action: str, **parameters: str) -> str:
    """One IAM call inside the process; "already exists" is fine: the caller looks at what comes back."""
    body = urlencode({"Action": action, "Version": "2010-05-08", **parameters}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded", "host": "127.0.0.1"}
    _, _, answer = await iam_svc.handle_request("POST", "/", headers, body, {})
    return bytes(answer).decode()


class FunctionSessions:
    """Stands in for `lambda_runtime.execution_credentials`, which gives each worker its role's session.

    MiniStack derives the session's key and secret from the function's ARN alone, so anyone who knows the
    name could sign as its role. Here a random number of this process goes in.
    """

    def __init__(self, sts_svc: Any) -> None:
        self._sts = sts_svc
        self._seed = secrets.token_bytes(32)

    def credentials(self, config: dict[str, Any]) -> dict[str, str]:
        role = str(config.get("Role", "")).rsplit("/", 1)[-1]
        function = f"{config.get('FunctionArn', '')}:{config.get('Role', '')}"
        name = str(config.get("FunctionName", "function"))[:64]
        key = "ASIA" + self._derived("key", function)[:16].upper()
        session = {
            "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}",
            "UserId": f"{role}:{name}",
            "SecretAccessKey": self._derived("secret", function),
            "SessionToken": self._derived("token", function),
        }
        self._sts.register_session(key, dict(session))
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
        }

    def _derived(self, purpose: str, function: str) -> str:
        return hmac.new(self._seed, f"{purpose}:{function}".encode(), hashlib.sha256).hexdigest()
