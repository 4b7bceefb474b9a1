"""What the user has set for the AWS SDK, and which of it an error of the SDK is about.

The SDK names a wrong value, and seldom where it stands. People look for a variable or a profile.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

# Where a profile says that its credentials come from, in the order in which the SDK looks.
_SOURCES = ("web_identity_token_file", "sso_session", "sso_start_url", "login_session", "credential_process")
_STATIC = ("aws_access_key_id", "aws_secret_access_key")
_SOURCE_VARIABLES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
# They choose, and what is wrong with them has errors of its own.
_CHOOSING = frozenset({"profile", "region", "config_file", "credentials_file"})
_PORTS = range(1, 1 << 16)


@dataclass(frozen=True)
class Setting:
    """name: as the user finds it, a variable or a key of a profile. profile: "" for a variable. file: where
    it stands, "" for a variable."""

    name: str
    profile: str = ""
    file: str = ""


@dataclass(frozen=True)
class UserSettings:
    """variables: the environment. profiles: those of the SDK's files. profile: the one in force. file: the
    configuration file."""

    variables: Mapping[str, str]
    profiles: Mapping[str, Mapping[str, Any]]
    profile: str
    file: str

    def of_profile(self, key: str = "", profile: str | None = None) -> Setting:
        name = self.profile if profile is None else profile
        return Setting(f"{key} of profile {name}" if key else f"profile {name}", name, self.file)

    # --- credentials -----------------------------------------------------------------------------

    def credentials(self, text: str = "") -> Setting:
        """Where credentials are meant to come from. text: the SDK's words, which may quote a variable."""
        quoted = [name for name in _SOURCE_VARIABLES if self._given(name) and self._given(name) in text]
        chain = list(self._chain())
        last = chain[-1]
        if named := next((name for name in chain if f'profile "{name}"' in text), ""):
            return self.of_profile("", named)
        values = self.profiles.get(last, {})
        own = next((key for key in _SOURCES if key in values), "")
        if not quoted and (own or any(key in values for key in (*_STATIC, "role_arn"))):
            return self.of_profile(own, last)
        given = quoted or [name for name in _SOURCE_VARIABLES if self._given(name)]
        return Setting(given[0]) if given else self.of_profile("", last)

    def half_a_pair(self) -> tuple[Setting, str] | None:
        """The half that is there without the other, and the other's name."""
        key, secret = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
        for have, lacks in ((key, secret), (secret, key)):
            if self._given(have) and not self._given(lacks):
                return Setting(have), lacks
        for have, lacks in (_STATIC, _STATIC[::-1]):
            values = self.profiles.get(self.profile, {})
            if have in values and lacks not in values:
                return self.of_profile(have), lacks
        return None

    def _chain(self) -> Iterator[str]:
        """The profile and those that it takes its credentials from."""
        name, seen = self.profile, set[str]()
        while name not in seen:
            yield name
            seen.add(name)
            source = self.profiles.get(name, {}).get("source_profile")
            name = str(source) if source in self.profiles else name

    def _given(self, name: str) -> str:
        return self.variables.get(name, "")

    # --- everything else -------------------------------------------------------------------------

    def blamed(self, text: str, known: Mapping[str, Any]) -> Setting | None:
        """The setting that an error is about: the one that it names, else the one whose value it quotes.

        known: the SDK's table of its settings, each with its key in a profile and its variable.
        """
        set_here = [
            (str(key), value, Setting(variable) if self._given(variable) else self.of_profile(str(key)))
            for name, (key, variable, _, _) in known.items()
            if name not in _CHOOSING and (value := self._given(variable or "") or self._value(key))
        ]
        set_here += [
            (name, self._given(name), Setting(name))
            for name in self.variables
            if name.startswith("AWS_ENDPOINT_URL") and self._given(name)
        ]
        if url := self._value("endpoint_url"):
            set_here.append(("endpoint_url", url, self.of_profile("endpoint_url")))
        named = [setting for key, _, setting in set_here if key in text]
        # A number may be there by chance; of two values the longer one is meant.
        quoted = [(len(value), setting) for _, value, setting in set_here if _quotes(text, value)]
        if named or not quoted:
            return named[0] if named else None
        return max(quoted, key=lambda found: found[0])[1]

    def _value(self, key: Any) -> str:
        found = self.profiles.get(self.profile, {}).get(key) if isinstance(key, str) else None
        return found if isinstance(found, str) else ""

    def bundle(self, in_force: str | None) -> tuple[Setting, str] | None:
        """What names the certificates that the SDK trusts, and their file. in_force: its own setting's."""
        if in_force:
            own = Setting("AWS_CA_BUNDLE")
            return (own if self._given(own.name) else self.of_profile("ca_bundle")), in_force
        other = "REQUESTS_CA_BUNDLE"
        return (Setting(other), self._given(other)) if self._given(other) else None

    def proxy(self, url: str) -> tuple[Setting, str] | None:
        """The variable that sends calls to this URL through a proxy, and its value."""
        from urllib.request import proxy_bypass

        parts = urlsplit(url)
        for name in (f"{parts.scheme}_proxy", f"{parts.scheme}_proxy".upper()):
            if self._given(name):
                bypassed = proxy_bypass(parts.netloc.rpartition("@")[2])
                return None if bypassed else (Setting(name), self._given(name))
        return None


def _quotes(text: str, value: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(value)}(?![\w-])", text) is not None


def proxy_fault(value: str) -> str:
    """What is wrong with the URL of a proxy; "" if nothing is. Never shows the password that it may hold."""
    scheme, separator, rest = value.rpartition("://")
    host = rest.rpartition("@")[2]
    if separator and scheme.lower() not in ("http", "https"):
        return f"the AWS SDK takes a proxy by http or https, not by {scheme.rpartition('@')[2]}"
    try:
        parts = urlsplit(f"//{host}")
        whole = parts.port is None or parts.port in _PORTS
    except ValueError:
        return f"{host!r} is no host and port"
    if not parts.hostname or not whole or re.search(r"[\s\\]", host):
        return f"{host!r} is no host and port"
    return ""


@functools.cache
def bundle_fault(path: str) -> str:
    """Why a file of certificates cannot be used; "" if it can."""
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        return f"{path} holds no certificates"
    except OSError as error:
        return f"{path} cannot be read ({error.strerror or error})"
    return ""


def without_password(text: str) -> str:
    """The text with URLs that tell no name and password."""
    return re.sub(r"//[^/@\s\"']*@", "//", text)
