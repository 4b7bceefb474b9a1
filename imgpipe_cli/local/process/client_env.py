"""What other programs need to reach the local cloud, as variables of the environment."""

from __future__ import annotations

import os

from imgpipe_cli.local.process.running_cloud import LocalCloud


def env(cloud: LocalCloud) -> dict[str, str]:
    """What a shell needs so that `aws`, boto3 and the SDKs reach the local cloud and nothing else.

    The empty token and the two switches undo what a user's own environment would put in the way.
    """
    no_proxy = "no_proxy" if os.environ.get("no_proxy") else "NO_PROXY"
    hosts = [host for host in os.environ.get(no_proxy, "").split(",") if host]
    return {
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_ACCESS_KEY_ID": cloud.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_access_key,
        "AWS_SESSION_TOKEN": "",
        "AWS_REGION": cloud.region,
        "AWS_DEFAULT_REGION": cloud.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        no_proxy: ",".join(dict.fromkeys([*hosts, "127.0.0.1", "localhost"])),
    }
