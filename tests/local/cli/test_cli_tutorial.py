"""The tutorial's own walk against what `up` built: plain `aws` and `curl`, nothing of ours in between."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.local.cli.conftest import Pipeline
from tests.support.inventory import inventory
from tests.support.machine import EXAMPLES, IMGPIPE, ROOT, Machine

PROJECT = "walk"


def aws_program() -> str | None:
    if found := shutil.which("aws"):
        return found
    return f"{sys.executable} -m awscli" if importlib.util.find_spec("awscli") else None


def shell(machine: Machine, script: str) -> str:
    """Run the lines in one shell that has `aws`, `curl` and `imgpipe`; what they print."""
    functions = f'imgpipe() {{ {shlex.join(IMGPIPE)} "$@"; }}\naws() {{ command {aws_program()} "$@"; }}\n'
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", functions + script],
        env=machine.environment(),
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout


WALK = f"""
imgpipe up --local --project {PROJECT} >up.txt
eval "$(imgpipe local env)"
export REGION=us-east-1
UPLOAD_BUCKET=$(aws s3 ls | awk '/{PROJECT}-uploads/ {{print $3}}')
test "$(aws s3api get-bucket-versioning --bucket $UPLOAD_BUCKET --query Status --output text)" = Enabled
aws dynamodb wait table-exists --table-name {PROJECT}-results --region $REGION
API_ID=$(aws apigatewayv2 get-apis --region $REGION \
  --query "Items[?Name=='{PROJECT}-api'].ApiId" --output text)
API_URL=$(aws apigatewayv2 get-api --api-id $API_ID --region $REGION --query ApiEndpoint --output text)
aws s3 cp astronaut.jpg s3://$UPLOAD_BUCKET/sample.jpg >&2
for i in $(seq 500); do
  curl -s -f "$API_URL/prod/result?key=sample.jpg" -o answer.json && break
  sleep 0.2
done
cat answer.json
echo
curl -s -o /dev/null -w '%{{http_code}}\\n' "$API_URL/prod/result?key=never.jpg"
curl -s "$API_URL/prod/result"
echo
curl -s -i -X OPTIONS "$API_URL/prod/result?key=sample.jpg" \
  -H 'Origin: http://viewer.example' -H 'Access-Control-Request-Method: GET' | tr -d '\\r'
curl -s -i "$API_URL/prod/result?key=sample.jpg" -H 'Origin: http://viewer.example' | grep -i access-control
"""


@pytest.mark.skipif(aws_program() is None, reason="NOT COVERED: there is no aws command line here")
@pytest.mark.skipif(shutil.which("curl") is None, reason="NOT COVERED: there is no curl here")
def test_the_tutorials_walk_works_with_aws_and_curl(machine: Machine, pipeline: Pipeline) -> None:
    script = WALK.replace("up.txt", f"{machine.folder}/up.txt").replace(
        "answer.json", f"{machine.folder}/answer.json"
    )
    lines = shell(machine, script).splitlines()
    item = json.loads(lines[0])
    assert item["objectKey"] == "sample.jpg"
    assert item["bucket"].startswith(f"{PROJECT}-uploads-")
    assert {"Face", "Head", "Person"} == {label["Name"] for label in item["labels"]}
    assert all(isinstance(label["Confidence"], float) for label in item["labels"])
    assert lines[1] == "404"
    assert json.loads(lines[2])["error"]["code"] == "missing_key"
    assert lines[3].split()[1] in ("200", "204")
    assert lines.count("Access-Control-Allow-Origin: *") == 2
    assert any(line.startswith("Access-Control-Allow-Methods:") and "GET" in line for line in lines)

    rows = shell(machine, 'eval "$(imgpipe local env)"\naws dynamodb scan --table-name walk-results')
    assert json.loads(rows)["Count"] == 1
    shell(machine, f"imgpipe down --local --project {PROJECT} --yes")
    assert inventory(machine.client, PROJECT) == {}


@pytest.mark.exhaustive
@pytest.mark.skipif(aws_program() is None, reason="NOT COVERED: there is no aws command line here")
@pytest.mark.skipif(shutil.which("curl") is None, reason="NOT COVERED: there is no curl here")
def test_every_command_of_the_page_about_the_tutorial_works(machine: Machine, pipeline: Pipeline) -> None:
    page = (ROOT / "docs" / "tutorial" / "original.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 10
    # A reader has this pipeline only; here another one was used last.
    out = shell(machine, "export IMGPIPE_PROJECT=imgpipe\n" + "".join(blocks))
    assert '"imgpipe-results"' in out and '"objectKey":"sample.jpg"' in out and '"done"' in out
    machine.imgpipe("status", "--local", "--project", "imgpipe", code=3)  # not set up any more
