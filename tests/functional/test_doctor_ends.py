"""`imgpipe doctor` ends also where what it asked never ends to answer."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.support.assert_doctor import KEY_ID, SECRET, checks
from tests.support.cli import Printed
from tests.support.loopback import Handler, serving
from tests.support.loopback_aws import LoopbackAws


@pytest.fixture
def trickling() -> Iterator[str]:
    """The URL of an AWS whose STS answers; of all other answers a byte comes now and then, for ever."""
    over = threading.Event()

    class Trickling(Handler):
        def do_POST(self) -> None:
            text = self.body().decode(errors="replace")
            if "Action=GetCallerIdentity" in text:
                signed = self.headers.get("Authorization", "")
                self._begin(*LoopbackAws("").post({"Action": "GetCallerIdentity"}, authorization=signed))
                return
            self._begin(200, "", length=1_000_000)
            while not over.wait(0.5):
                self.wfile.write(b" ")
                self.wfile.flush()

        do_GET = do_HEAD = do_PUT = do_POST

        def _begin(self, status: int, body: str, *, length: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body.encode())

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                """Who asked has ended."""

    with serving(Trickling) as url:
        yield url
        over.set()


# As `imgpipe`, with less time for what never ends, and not for what comes before it.
HASTY = """
from imgpipe_cli.diagnose.doctor import examination
from imgpipe_cli.__main__ import main
ask = examination.ask
examination.ask = lambda asked, limit_s: ask(asked, limit_s=4.0 if "permissions" in asked else limit_s)
main()
"""


def test_answers_that_never_end_keep_nobody_waiting(trickling: str) -> None:
    """Without a limit here: what does not end is ended by the limit of every test."""
    environment = os.environ | {
        "AWS_ENDPOINT_URL": trickling,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "eu-west-1",
    }
    line = [sys.executable, "-c", HASTY, "doctor", "--project", "demo", "--json"]
    done = subprocess.run(line, check=False, capture_output=True, text=True, env=environment)
    found = checks(Printed(done.returncode, done.stdout, done.stderr))
    assert done.returncode == 1
    assert found["identity"]["verdict"] == "ok"
    for check in ("permissions", "pipeline"):
        assert found[check]["seen"].startswith("no answer within 4 s")
