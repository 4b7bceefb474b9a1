"""Signing in: the SDK's session, the credentials it finds, and what of the user's settings is in the way."""

from __future__ import annotations

import getpass
import os
import re
import threading
import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imgpipe_cli.aws.sdk_errors import AwsError, code_of, errors_of, from_botocore, from_client_error, told
from imgpipe_cli.aws.sdk_import import find_services_at_once, without_crt
from imgpipe_cli.aws.sdk_settings import Setting, UserSettings, bundle_fault, proxy_fault

_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Place:
    """Where calls go. Keys and endpoint are given for the local cloud only; otherwise the SDK finds them."""

    region: str | None = None
    profile: str | None = None
    endpoint: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None

    @property
    def is_local(self) -> bool:
        return self.access_key_id is not None


@dataclass(frozen=True)
class Credentials:
    """The credentials that the SDK found, without what is secret of them.

    method: where, in the SDK's own words, such as env or sso. ends_with: of the access key's id.
    expires: None where the SDK does not know or they never do.
    """

    method: str
    ends_with: str
    temporary: bool
    expires: datetime | None


class SignIn:
    """One session of the SDK, and the user's settings that it works with. Thread-safe."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._looking = threading.Lock()
        self._looked, self._found = False, None
        self.session = self._new_session()

    def _new_session(self) -> Any:
        without_crt()
        import boto3
        from botocore.session import Session

        with errors_of("", ""):
            self._sdk = _session_of_nobody() if self.place.is_local else Session()
            session = boto3.Session(
                botocore_session=self._sdk,
                profile_name=self.place.profile,
                # Every other SDK and the AWS CLI read AWS_REGION; boto3 only AWS_DEFAULT_REGION.
                region_name=self.place.region or os.environ.get("AWS_REGION") or None,
                aws_access_key_id=self.place.access_key_id,
                aws_secret_access_key=self.place.secret_access_key,
            )
            # Only now: asked for its loader before, the SDK reads the default profile and misses a wrong one.
            find_services_at_once(self._sdk)
            return session

    @property
    def region(self) -> str:
        """The region in force; raises AwsError("NoRegion") instead of letting S3 assume one.

        It becomes part of host names and signatures, and the SDK lets a line end pass: hence "BadRegion".
        """
        region = self.session.region_name
        if not region:
            raise AwsError("NoRegion", "No region is configured.")
        if not _REGION.fullmatch(region):
            raise AwsError("BadRegion", f"{region!r} is not the name of a region.")
        return str(region)

    @property
    def profile(self) -> str | None:
        """The profile in force, chosen here or by AWS_PROFILE; None: the default one."""
        name = str(self.session.profile_name)
        return None if name == "default" else name

    def settings(self) -> UserSettings:
        """What the user has set for the SDK. Never fails: it is asked when something already has."""
        try:
            profiles = self._sdk.full_config.get("profiles", {})
        except Exception:  # whatever is wrong with the files
            profiles = {}
        file = os.path.expanduser(str(self._sdk.get_config_variable("config_file")))  # noqa: PTH111
        return UserSettings(os.environ, profiles, str(self.session.profile_name), file)

    def credentials(self) -> Credentials:
        """The credentials that calls are signed with, fresh ones where they can be had. Raises AwsError."""
        found = self._fresh()
        frozen = found.get_frozen_credentials()
        return Credentials(
            method=str(found.method),
            ends_with=str(frozen.access_key)[-4:],
            temporary=bool(frozen.token),
            # The SDK has no public word for it.
            expires=getattr(found, "_expiry_time", None),
        )

    def signing_keys(self) -> tuple[str, str, str | None]:
        """The access key's id, the secret, the session token; fresh where they can be had. Raises
        AwsError."""
        frozen = self._fresh().get_frozen_credentials()
        return frozen.access_key, frozen.secret_key, frozen.token

    def _fresh(self) -> Any:
        """The SDK's credentials, renewed where they can be. Raises AwsError, also where there are none."""
        self.find_credentials()
        self.renew_credentials()
        if self._found is None:
            raise self.no_credentials()
        return self._found

    def trusted_certificates(self) -> str:
        """The file of the certificates that the SDK trusts: the user's, else its own."""
        from botocore.httpsession import get_cert_path

        found = self.settings().bundle(self._sdk.get_config_variable("ca_bundle"))
        return found[1] if found else str(get_cert_path(True))

    def find_credentials(self) -> None:
        """Have the SDK look for them, once. Raises AwsError for what it stumbles over; it may find none."""
        with self._looking:  # two looks could ask twice for the code of a device
            if self._looked:
                return
            # A code that is typed is not shown, nor read from a pipe in which something else comes.
            warnings.filterwarnings("error", category=getpass.GetPassWarning)
            try:
                self._found = self.session.get_credentials()
            except Exception as error:
                raise self.failure(error) from error
            self._looked = True

    def renew_credentials(self) -> None:
        """Have those that end soon replaced, as each call would: here it is known what an error is about."""
        if self._found is None:
            return
        try:
            _check_keys(self._found.get_frozen_credentials(), self._found.method)
        except Exception as error:
            raise self.failure(error) from error

    def no_credentials(self) -> AwsError:
        """There are none; or one half of a pair, which the SDK passes over."""
        settings = self.settings()
        if half := settings.half_a_pair():
            setting, lacks = half
            return AwsError("HalfAPair", f"{setting.name} is set, and {lacks} is not", setting=setting)
        named = settings.profile in settings.profiles and settings.profile != "default"
        return AwsError("NoCredentials", "", setting=settings.of_profile() if named else None)

    def blamed(self, error: Exception) -> AwsError | None:
        """The error of a setting of the user's that the SDK cannot work with."""
        from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES as KNOWN
        from botocore.exceptions import BotoCoreError

        # JSON and times that cannot be read are ValueErrors too, of credentials.
        settings_own = isinstance(error, BotoCoreError) and code_of(error) in ("", "BadProfile")
        if self.place.is_local or not (settings_own or type(error) is ValueError):
            return None
        setting = self.settings().blamed(str(error), KNOWN)
        return AwsError("BadSetting", str(error), setting=setting) if setting is not None else None

    def check_route(self, url: str) -> None:
        """Raise AwsError("BadSetting") for a proxy or certificates with which no call can arrive: the
        SDK says, after five tries, that AWS cannot be reached."""
        if self.place.is_local:
            return
        settings = self.settings()
        bundle = settings.bundle(self._sdk.get_config_variable("ca_bundle"))
        for found, fault_of in (
            (settings.proxy(url), proxy_fault),
            (bundle if url.startswith("https:") else None, bundle_fault),
        ):
            if found is not None and (fault := fault_of(found[1])):
                raise AwsError("BadSetting", fault, setting=found[0])

    def failure(self, error: Exception) -> AwsError:
        """What went wrong on the way to credentials: the SDK lets errors of all kinds through there."""
        from botocore import xform_name
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, AwsError):
            return error
        if isinstance(error, ClientError):
            name = xform_name(error.operation_name)
            return from_client_error(error, "sts" if name.startswith("assume") else "sso", name)
        if blamed := self.blamed(error):
            return blamed
        code = code_of(error) if isinstance(error, BotoCoreError) else "BrokenCredentials"
        untyped = isinstance(error, EOFError) or "parameter TokenCode" in str(error)
        if untyped or isinstance(error, getpass.GetPassWarning):
            code = "MfaNeeded"
        if code == "Unreachable":
            return from_botocore(error, "sts", "")
        settings = self.settings()
        half = settings.half_a_pair() if "Partial credentials" in str(error) else None
        if half is not None:
            return AwsError("HalfAPair", told(error), setting=half[0])
        whole = code == "MfaNeeded"  # it is the profile in force that asks for the code
        setting = settings.of_profile() if whole else settings.credentials(str(error))
        # Keys in the environment come before all else, unless a profile was chosen.
        dated = all(os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_CREDENTIAL_EXPIRATION"))
        if dated and self.place.profile is None:
            setting = Setting("AWS_CREDENTIAL_EXPIRATION")
        return AwsError(code or "BrokenCredentials", "" if untyped else told(error), setting=setting)


def _session_of_nobody() -> Any:
    """A session of the SDK that knows none of the user's files and variables: they are about AWS, and what is
    wrong with them, such as a profile that is gone, must not keep anybody from the cloud on this machine."""
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES as VARIABLES
    from botocore.session import Session

    defaults = {name: (None, None, default, None) for name, (_, _, default, _) in VARIABLES.items()}
    nowhere, nothing = (None, None, os.devnull, None), (None, None, None, None)
    files = {"config_file": nowhere, "credentials_file": nowhere}
    return Session(session_vars=defaults | files | {"s3": nothing, "proxies_config": nothing})


def _check_keys(keys: Any, method: str) -> None:
    """Raise TypeError for what no call can be signed with: the SDK takes whatever a program's JSON holds."""
    pair, token = (keys.access_key, keys.secret_key), keys.token
    texts = all(isinstance(key, str) for key in (*pair, "" if token is None else token))
    if not texts or (method == "custom-process" and not all(pair)):
        raise TypeError("keys are texts that are not empty")
