"""Why nobody could be signed in, in the words of the user's situation: each cause with what to correct."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.errors import Problem, sentence


def _no_credentials(error: AwsError, where: str) -> Problem:
    """None were found: in the profile that was chosen, or anywhere."""
    if error.setting is None:
        hint = "Run aws configure (or set AWS_PROFILE), or try it without an account: imgpipe up --local."
        return Problem("no_credentials", f"{where}No AWS credentials were found.", hint=hint)
    name = error.setting.profile
    return Problem(
        "no_credentials",
        f"{where}No AWS credentials were found in profile {name}.",
        hint=f"Add them with aws configure --profile {shlex.quote(name)}, or choose another with --profile.",
    )


def _broken_credentials(error: AwsError, where: str) -> Problem:
    """Credentials are meant to come from somewhere, and do not."""
    return Problem("no_credentials", f"{where}{_about(error)}", hint=_correct(error))


def _half_a_pair(error: AwsError, where: str) -> Problem:
    setting = error.setting
    if setting is None or not setting.profile:
        hint = f"Set the pair, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or unset {_name(error)}."
    else:
        hint = f"Set the pair with aws configure --profile {shlex.quote(setting.profile)}."
    return Problem("no_credentials", f"{where}{_about(error)}", hint=hint)


def _mfa_needed(error: AwsError, where: str) -> Problem:
    name = error.setting.profile if error.setting else "default"
    if not error.message:  # somebody was there to type it
        return Problem(
            "mfa_needed",
            f"{where}profile {name} needs an MFA code, and no whole one was typed.",
            hint="Run the command again with the next code of the device.",
        )
    return Problem(
        "mfa_needed",
        f"{where}profile {name} needs an MFA code, and there is no terminal to type it in.",
        hint="Run it in a terminal. Or get keys in one first: aws configure export-credentials "
        f"--profile {shlex.quote(name)}.",
    )


def _crt_needed(error: AwsError, where: str) -> Problem:
    return Problem(
        "crt_needed",
        f"{where}{_about(error)}",
        hint='Run pip install "botocore[crt]" where imgpipe is installed, then run the command again.',
    )


def _login_needed(command: str) -> Callable[[AwsError, str], Problem]:
    def found(error: AwsError, where: str) -> Problem:
        profile = error.setting.profile if error.setting else ""
        option = f" --profile {shlex.quote(profile)}" if profile not in ("", "default") else ""
        return Problem(
            "sso_login_needed",
            f"{where}The AWS sign-in has ended.",
            hint=f"Run {command}{option}, then run the command again.",
        )

    return found


def _bad_setting(error: AwsError, where: str) -> Problem:
    # Scripts know an endpoint that is no URL by this code.
    code = "unreachable" if "endpoint_url" in _name(error).lower() else "bad_aws_setting"
    return Problem(code, f"{where}{_about(error)}", hint=_correct(error))


def _bad_profile(error: AwsError, where: str) -> Problem:
    hint = "List the profiles with aws configure list-profiles and choose one with --profile."
    if error.setting is not None:
        return Problem("bad_profile", f"{where}{_about(error)}", hint=_correct(error))
    return Problem("bad_profile", f"{where}{_about(error)}", hint=hint)


def _correct(error: AwsError) -> str:
    """The hint for what stands in a variable, or in a profile of a file."""
    file = error.setting.file if error.setting else ""
    if file:
        return f"Correct {_name(error)} in {file}, or choose another with --profile."
    return f"Correct {_name(error)}, or unset it."


def _name(error: AwsError) -> str:
    return error.setting.name if error.setting else "it"


def _about(error: AwsError) -> str:
    """The SDK's own sentence, after the name of the setting that it is about where it does not say that."""
    text = sentence(error.message)
    if error.setting is None:
        return text
    profile = error.setting.profile
    known = (error.setting.name, f'"{profile}"', f"profile {profile}") if profile else (error.setting.name,)
    return text if any(name in text for name in known) else f"{error.setting.name}: {text}"


def _bad_file(error: AwsError, where: str) -> Problem:
    hint = "Correct that file: its settings stand below names such as [default] or [profile work]."
    return Problem("bad_profile", f"{where}{sentence(error.message)}", hint=hint)


SIGN_IN: Mapping[str, Callable[[AwsError, str], Problem]] = {
    "NoCredentials": _no_credentials,
    "BrokenCredentials": _broken_credentials,
    "HalfAPair": _half_a_pair,
    "MfaNeeded": _mfa_needed,
    "CrtNeeded": _crt_needed,
    "SsoLogin": _login_needed("aws sso login"),
    "AwsLogin": _login_needed("aws login"),
    "BadProfile": _bad_profile,
    "BadFile": _bad_file,
    "BadSetting": _bad_setting,
}
