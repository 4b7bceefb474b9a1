"""Every command works against AWS-compatible endpoints that know nothing of imgpipe."""

from __future__ import annotations

import json
from pathlib import Path

from tests.local.cli.endpoints import KEYS, ministack, moto, rekognition
from tests.local.cli.recorder import recording
from tests.support.inventory import inventory
from tests.support.machine import EXAMPLES, Machine, client
from tests.support.ports import free_port


def test_a_plain_ministack_with_a_rekognition_runs_the_whole_pipeline(tmp_path: Path) -> None:
    port = free_port()
    user = Machine(tmp_path / "user")
    with (
        rekognition(f"http://127.0.0.1:{port}") as analysis,
        ministack(tmp_path / "ministack", analysis, port) as url,
    ):
        env = {**KEYS, "AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_REKOGNITION": analysis}
        up = user.imgpipe("up", "--project", "plain", "--features", "labels,text,moderation", env=env)
        assert url in up.err.splitlines()[0]
        assert f"{url} is plain http: no TLS-only statement" in up.err
        assert ".execute-api.localhost" in up.out

        s3 = client("s3", url, "test", "test")
        bucket = "plain-uploads-000000000000-us-east-1-an"
        try:
            policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        except s3.exceptions.ClientError:
            policy = []
        assert policy == []

        pictures = [EXAMPLES / "astronaut.jpg", EXAMPLES / "sign.png"]
        sent = user.imgpipe("upload", *pictures, "--wait", "--json", env=env).lines()
        labels = {item["objectKey"]: [label["Name"] for label in item["labels"]] for item in sent}
        assert labels == {"astronaut.jpg": ["Face", "Head", "Person"], "sign.png": ["Text"]}
        assert "Harbour Street Books" in user.imgpipe("result", "sign.png", env=env).out
        assert "only Explicit is looked for" in user.imgpipe("result", "sign.png", env=env).out
        assert user.imgpipe("status", "--json", env=env).json()["status"] == "done"
        assert user.imgpipe("up", "--json", env=env).json()["data"]["changed"] == []

        other = user.imgpipe("status", env={**KEYS, "AWS_ENDPOINT_URL": f"http://localhost:{port}"}, code=1)
        assert "AWS_ENDPOINT_URL" in other.err
        down = user.imgpipe("down", "--yes", env=env)
        assert "2 objects" in down.err and "Everything is gone" in down.out
        assert inventory(lambda service: client(service, url, "test", "test"), "plain") == {}


def test_a_moto_server_is_set_up_looked_at_and_cleared(tmp_path: Path) -> None:
    user = Machine(tmp_path / "user")
    with moto(tmp_path / "moto") as url, recording() as recorder:
        env = {**KEYS, "AWS_ENDPOINT_URL": url}
        up = user.imgpipe("up", "--project", "mocked", env=env)
        assert url in up.err.splitlines()[0]
        again = user.imgpipe("up", "--json", env={**env, "HTTP_PROXY": recorder.url})
        assert again.json()["data"]["changed"] == []
        assert recorder.writes() == []
        assert len(recorder.calls) > 20
        assert user.imgpipe("status", "--json", env=env).json()["status"] == "done"
        assert "Everything is gone" in user.imgpipe("down", "--yes", env=env).out
        user.imgpipe("status", env=env, code=3)


def test_without_credentials_or_region_the_way_on_is_shown(tmp_path: Path) -> None:
    user = Machine(tmp_path / "user")
    nobody = {"AWS_EC2_METADATA_DISABLED": "true"}
    done = user.imgpipe("up", "--region", "eu-west-1", env=nobody, code=1)
    assert "No AWS credentials" in done.err and "imgpipe up --local" in done.err
    done = user.imgpipe("up", env={**nobody, **KEYS, "AWS_REGION": ""}, code=2)
    assert "--region" in done.err
    done = user.imgpipe("up", "--profile", "nobody", "--region", "eu-west-1", env=nobody, code=1)
    assert "--profile" in done.err
    assert "imgpipe up" in user.imgpipe("status", "--local", env=nobody, code=3).err
