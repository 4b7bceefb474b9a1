"""The way to AWS: region, endpoints, proxy, whether anything answers, and its clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from imgpipe_cli.aws.client import Aws, AwsError, is_aws
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.aws.sdk_settings import proxy_fault
from imgpipe_cli.diagnose.doctor.checks import Check, of_problem

_WARN = timedelta(seconds=60)
# Most of AWS refuses a signature that is five minutes off.
_FAIL = timedelta(minutes=5)
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY")
_BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_IGNORE = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"


def region(name: str | None, source: str, known: Sequence[str]) -> Check:
    """known: the regions that the SDK knows; source: who chose this one."""
    if name is None:
        fix = "aws configure set region eu-west-1 (or --region, or AWS_REGION)"
        return Check("region", "failed", "no AWS region is configured", fix)
    if name not in known:
        seen = f"{name} ({source}) is no region that the SDK knows"
        return Check("region", "failed", seen, "Name another with --region; pip install --upgrade boto3.")
    return Check("region", "ok", f"{name} ({source})")


def rekognition(name: str, offered: Sequence[str], endpoint: str | None) -> Check:
    """endpoint: one that is not AWS's own, and not asked what it offers."""
    if endpoint is not None:
        return Check("rekognition", "not_checked", f"{endpoint} is not AWS")
    if name in offered:
        return Check("rekognition", "ok", f"offered in {name}")
    fix = (
        f"Choose --region from {', '.join(sorted(offered))}; or update boto3, which lists them: "
        "pip install --upgrade boto3."
    )
    return Check("rekognition", "failed", f"not offered in {name}", fix)


# --- endpoints -----------------------------------------------------------------------------------


def endpoints(
    urls: Mapping[str, str], variables: Mapping[str, str], own_variables: Mapping[str, str]
) -> Check:
    """urls: where the calls of each service go. own_variables: the name of each service's variable."""
    ignored = variables.get(_IGNORE, "").lower() == "true"
    elsewhere = {service: url for service, url in urls.items() if not is_aws(url)}
    if not elsewhere:
        seen = "AWS's own" + (f" ({_IGNORE} is set)" if ignored else "")
        return Check("endpoints", "ok", seen, details=_listed(urls))
    sources = dict.fromkeys(_source(own_variables[service], variables) for service in elsewhere)
    which = "all calls" if len(elsewhere) == len(urls) else f"calls to {', '.join(elsewhere)}"
    where = ", ".join(dict.fromkeys(shown(url) for url in elsewhere.values()))
    seen = f"{which} go to {where}, not to AWS ({', '.join(sources)})"
    set_here = [source for source in sources if source in variables]
    fix = f"unset {' '.join(set_here)}" if set_here else "Remove endpoint_url from the AWS configuration file"
    return Check("endpoints", "warning", seen, f"{fix}, unless that is meant.", _listed(urls))


def _listed(urls: Mapping[str, str]) -> list[str]:
    """Each service's own; one line where all share one."""
    if len(set(urls.values())) == 1:
        return []
    return [f"{service}: {shown(url)}" for service, url in urls.items()]


def _source(own: str, variables: Mapping[str, str]) -> str:
    """What sends a service elsewhere, in the order in which the SDK looks."""
    return next(
        (name for name in (own, "AWS_ENDPOINT_URL") if variables.get(name)),
        "endpoint_url in the AWS configuration file",
    )


def shown(url: str) -> str:
    """A URL without the name and password that it may hold."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if parts.scheme else host


def service_urls(aws: Aws, services: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The URL and the variable of each service. Raises AwsError."""
    return (
        {service: aws.endpoint(service) for service in services},
        {service: aws.endpoint_variable(service) for service in services},
    )


# --- proxy ---------------------------------------------------------------------------------------


def proxy(
    variables: Mapping[str, str], exists: Callable[[str], bool] = lambda name: Path(name).exists()
) -> Check:
    """Proxies, and the file of certificates that one of them may need."""
    for name, value in _proxies_of(variables):
        if fault := proxy_fault(value):
            return Check("proxy", "failed", f"{name}: {fault}", f"Correct {name}, or unset it.")
    lost = next((name for name in _BUNDLES if variables.get(name) and not exists(variables[name])), None)
    if lost is not None:
        seen = f"{lost} names {variables[lost]}, which is not there"
        return Check("proxy", "failed", seen, f"unset {lost}, or name the file of certificates.")
    parts = [*_ways(variables), *(f"{name}={variables[name]}" for name in _BUNDLES if variables.get(name))]
    return Check("proxy", "ok", ", ".join(parts) or "none")


def _proxies_of(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in _PROXIES:
        for spelling in (name.lower(), name):
            if variables.get(spelling):
                yield spelling, variables[spelling]
                break


def _ways(variables: Mapping[str, str]) -> Iterator[str]:
    yield from (f"{name}={shown(value)}" for name, value in _proxies_of(variables))
    for spelling in ("no_proxy", "NO_PROXY"):
        if variables.get(spelling):
            yield f"not for {variables[spelling]}"
            break


# --- reaching it ---------------------------------------------------------------------------------


def contact(aws: Aws, now: Callable[[], datetime]) -> Iterator[Check]:
    """Whether AWS, or what stands for it, answers; and how far its clock is from ours."""
    try:
        url, date = aws.contact()
    except AwsError as error:
        yield of_problem("network", problem(error))
        yield Check("clock", "not_checked", "nothing answered that could tell the time")
        return
    arrived = now()
    url = shown(url)
    yield Check("network", "ok", f"{url} answers")
    if date is None:
        yield Check("clock", "not_checked", f"the answer of {url} has no date")
    else:
        # A date has whole seconds: on average it was half a second later.
        yield clock(arrived - date - timedelta(seconds=0.5))


def clock(ahead: timedelta) -> Check:
    """ahead: by how much this machine's clock is ahead of the other end's; negative: behind."""
    off = abs(ahead)
    if off <= timedelta(seconds=2):
        return Check("clock", "ok", "right to two seconds")
    seen = f"{_said(off)} {'ahead of' if ahead > timedelta() else 'behind'} AWS"
    fix = "Set the clock, or switch on network time (Linux: sudo timedatectl set-ntp true)."
    if off > _FAIL:
        return Check("clock", "failed", f"{seen}, which refuses signatures that are this far off", fix)
    return Check("clock", "warning", seen, fix) if off > _WARN else Check("clock", "ok", seen)


def _said(off: timedelta) -> str:
    seconds = off.total_seconds()
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
