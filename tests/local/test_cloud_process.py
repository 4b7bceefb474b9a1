"""Starting, stopping, killing: whatever happens to the process, the next command finds its way."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.files import LocalFiles, read_json
from imgpipe_cli.local.process import client_env, control
from imgpipe_cli.local.process.cloud_client import ask
from imgpipe_cli.local.process.running_cloud import LocalCloud
from imgpipe_cli.local.rekognition.faults import Faults
from imgpipe_cli.session.remembered import Targets
from imgpipe_cli.session.target import Remembered, Target
from imgpipe_cli.system.process_lock import FileLock, held
from tests.support.loopback import Handler
from tests.support.machine import until
from tests.support.ports import free_port, keep_a_port

STUB = (sys.executable, "-P", str(Path(__file__).parents[1] / "support/stub_server.py"))
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    keep_a_port(tmp_path)
    yield tmp_path
    control.stop(tmp_path)


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path / "local")


def start(folder: Path, port: int | None = None) -> LocalCloud:
    return control.start(folder, port=port, command=STUB)


def alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return Path(f"/proc/{pid}").exists()


def children(pid: int) -> list[int]:
    """Of all its threads, of which some may just be ending."""
    found: list[str] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += (task / "children").read_text().split()
    return [int(one) for one in found]


def sockets(pid: int) -> set[str]:
    """Those that it has open, among files that it may just be closing."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(descriptor.readlink()))
    return {one for one in found if one.startswith("socket:")}


def kill(cloud: LocalCloud) -> None:
    os.kill(cloud.pid, signal.SIGKILL)
    os.waitpid(cloud.pid, 0)


def test_start_is_idempotent_and_stop_says_whether_one_ran(folder: Path, files: LocalFiles) -> None:
    assert control.running(folder) is None
    cloud = start(folder)
    assert control.running(folder) == cloud == start(folder)
    assert control.stop(folder) is True
    assert control.running(folder) is None
    assert control.stop(folder) is False
    assert not files.cloud.exists()


def test_two_starts_at_once_give_one_process(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from imgpipe_cli.local.process import control\n"
        "print(control.start(Path(sys.argv[1]), command=sys.argv[2:]).pid)"
    )
    commands = [
        subprocess.Popen([sys.executable, "-c", program, str(folder), *STUB], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    pids = {command.communicate()[0] for command in commands}
    assert len(pids) == 1
    assert control.running(folder) is not None


def test_starts_in_threads_of_one_process_give_one_cloud(folder: Path) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(start(folder).pid)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    "content", ["{}", '{"access_key_id": 5}', "[" * 100_000], ids=["empty", "typed", "deep"]
)
def test_keys_that_cannot_be_read_are_made_anew(folder: Path, files: LocalFiles, content: str) -> None:
    files.credentials.write_text(content)
    cloud = start(folder)
    assert read_json(files.credentials) == {
        "access_key_id": cloud.access_key_id,
        "secret_access_key": cloud.secret_access_key,
    }


@linux
def test_a_kill_keeps_everything_and_the_keys(
    folder: Path, files: LocalFiles, pipelines: Callable[..., Any], connect: Callable[..., Any]
) -> None:
    cloud = start(folder)
    pipeline = pipelines(cloud, "survivor")
    pipeline.put("first.jpg", b"12345")
    pipeline.wait_for({"first.jpg"})
    shown = {"dynamodb": "first.jpg", "s3": "function:survivor", "lambda": "survivor", "iam": "survivor"}

    def is_saved() -> bool:
        written = {path.stem: path.read_text() for path in files.state.glob("*.json")}
        return all(text in written.get(part, "") for part, text in shown.items())

    until(is_saved, what="a whole snapshot")
    kill(cloud)
    assert control.running(folder) is None

    again = start(folder)
    assert (again.endpoint, again.access_key_id) == (cloud.endpoint, cloud.access_key_id)
    assert again.pid != cloud.pid
    assert connect(again, "s3").get_object(Bucket="survivor", Key="first.jpg")["Body"].read() == b"12345"
    assert pipeline.keys() == {"first.jpg"}
    pipeline.put("second.jpg")
    pipeline.wait_for({"first.jpg", "second.jpg"})


@linux
def test_a_kill_in_the_middle_of_writes_leaves_a_loadable_state(
    folder: Path, connect: Callable[..., Any]
) -> None:
    cloud = start(folder)
    for number in range(3):
        table = connect(cloud, "dynamodb", retries={"max_attempts": 0})
        stop = threading.Event()

        def write(table: Any = table, stop: threading.Event = stop, number: int = number) -> None:
            with contextlib.suppress(Exception):
                while not stop.is_set():
                    name = f"table-{number}-{time.monotonic_ns()}"
                    table.create_table(
                        TableName=name,
                        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
                        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
                        BillingMode="PAY_PER_REQUEST",
                    )

        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(0.4)
        kill(cloud)
        stop.set()
        writer.join()
        cloud = start(folder)
        connect(cloud, "dynamodb").list_tables()


@linux
def test_stop_saves_and_leaves_no_worker_and_no_folder(
    folder: Path, files: LocalFiles, pipelines: Callable[..., Any]
) -> None:
    cloud = start(folder)
    pipeline = pipelines(cloud, "tidy")
    pipeline.put("a.jpg")
    pipeline.wait_for({"a.jpg"})
    workers = children(cloud.pid)
    assert workers
    assert list(files.tmp.iterdir())
    control.stop(folder)
    ended = (cloud.pid, *workers)
    until(lambda: not any(map(alive, ended)), what="all processes are gone")
    assert not list(files.tmp.iterdir())
    again = start(folder)
    assert again.access_key_id == cloud.access_key_id
    assert pipeline.keys() == {"a.jpg"}


@linux
def test_sigterm_saves_like_stop(folder: Path, connect: Callable[..., Any]) -> None:
    cloud = start(folder)
    connect(cloud, "s3").create_bucket(Bucket="terminated")
    os.kill(cloud.pid, signal.SIGTERM)
    os.waitpid(cloud.pid, 0)
    assert [bucket["Name"] for bucket in connect(start(folder), "s3").list_buckets()["Buckets"]] == [
        "terminated"
    ]


def test_events_that_wait_when_it_stops_run_after_the_next_start(
    folder: Path, pipelines: Callable[..., Any]
) -> None:
    pipeline = pipelines(start(folder), "interrupted")
    keys = {f"{number}.jpg" for number in range(40)}
    for key in sorted(keys):
        pipeline.put(key)
    control.stop(folder)
    start(folder)
    pipeline.wait_for(keys)


def test_a_taken_port_is_refused_when_asked_for_and_avoided_otherwise(
    folder: Path, files: LocalFiles
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Problem) as refused:
            start(folder, port)
        assert refused.value.code == "port_taken"
        files.port.write_text(str(port))
        assert not start(folder).endpoint.endswith(f":{port}")


def test_the_port_is_remembered(folder: Path) -> None:
    port = free_port()
    endpoint = start(folder, port).endpoint
    control.stop(folder)
    assert start(folder).endpoint == endpoint
    with pytest.raises(Problem) as refused:
        start(folder, port + 1)
    assert refused.value.code == "local_running_elsewhere"


def test_a_stale_file_is_not_taken_for_a_cloud(folder: Path, files: LocalFiles) -> None:
    start(folder)
    written = read_json(files.cloud)
    assert written is not None
    control.stop(folder)
    # After a reboot: the pid belongs to someone else now, and so does the port.
    files.cloud.write_text(json.dumps({**written, "pid": os.getpid()}))
    assert control.running(folder) is None
    assert control.stop(folder) is False
    files.cloud.write_text(json.dumps({**written, "pid": os.getpid()}))
    assert start(folder).pid != os.getpid()


def test_another_clouds_answer_is_not_taken_for_ours(folder: Path, files: LocalFiles, tmp_path: Path) -> None:
    start(folder)
    written = read_json(files.cloud)
    assert written is not None
    elsewhere = LocalFiles(tmp_path / "elsewhere" / "local")
    elsewhere.root.mkdir(parents=True)
    elsewhere.cloud.write_text(json.dumps({**written, "token": "another"}))
    lock = FileLock(elsewhere.cloud_lock)
    assert lock.acquire()
    try:
        assert control.running(tmp_path / "elsewhere") is None
    finally:
        lock.release()


@pytest.mark.parametrize("taken", [True, False])
def test_a_lock_that_may_only_be_read_tells_too_whether_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    """As in a sandbox whose home is read-only, next to a cloud that runs."""
    path = tmp_path / "cloud.lock"
    lock = FileLock(path)
    assert lock.acquire()
    if not taken:
        lock.release()
    really = os.open

    def read_only(name: Any, flags: int, *mode: int) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise OSError(errno.EROFS, "Read-only file system")
        return really(name, flags, *mode)

    monkeypatch.setattr(os, "open", read_only)
    assert held(path) is taken
    lock.release()


@pytest.fixture
def impostor(folder: Path, files: LocalFiles) -> Iterator[Impostor]:
    """Who took the port of a cloud that was killed, and answers as it did."""
    cloud = start(folder)
    told = ask(port_of(cloud), "/_imgpipe/health") or {}
    kill(cloud)
    taken = Impostor(cloud, told)
    thread = threading.Thread(target=taken.serve_forever)
    thread.start()
    yield taken
    taken.shutdown()
    thread.join()
    taken.server_close()


class Impostor(ThreadingHTTPServer):
    def __init__(self, cloud: LocalCloud, told: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", port_of(cloud)), Echo)
        self.told = told
        self.heard: list[str] = []


class Echo(Handler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Impostor)
        self.server.heard.append(f"{self.path} {self.headers}")
        body = json.dumps({**self.server.told, "items": [], "next": None}).encode()
        self.send(200, body)

    do_POST = do_GET


def port_of(cloud: LocalCloud) -> int:
    return int(cloud.endpoint.rpartition(":")[2])


@pytest.mark.parametrize("process", ["gone", "alive"])
def test_who_took_the_port_learns_no_token(
    folder: Path, files: LocalFiles, impostor: Impostor, process: str
) -> None:
    written = read_json(files.cloud)
    assert written is not None
    lock = FileLock(files.cloud_lock)
    # Alive: as if the locks of this file system told nothing.
    assert process == "gone" or lock.acquire()
    try:
        assert control.running(folder) is None
        assert control.status(folder).cloud is None
        with pytest.raises(Problem) as refused:
            control.turn_faults(Faults(), folder)
        assert refused.value.code == "local_not_running"
    finally:
        lock.release()
    assert (process == "gone") == (impostor.heard == [])
    assert not [heard for heard in impostor.heard if written["token"] in heard]


def test_a_command_sends_the_token_of_its_pipeline_only_to_the_cloud_itself(
    folder: Path, impostor: Impostor
) -> None:
    target = Target("imgpipe", local=True)
    at = f"http://127.0.0.1:{impostor.server_port}"
    known = Remembered(target, "0" * 12, "us-east-1", at, "b", f"{at}/_aws/x", "secret-token", True, 0.0)
    Targets(folder).put(known)
    environment = {**os.environ, "IMGPIPE_STATE_DIR": str(folder)}
    for command in (("result", "a.jpg"), ("list",), ("open", "--print"), ("local", "status")):
        done = subprocess.run(
            [sys.executable, "-m", "imgpipe_cli", *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 3, done.stderr
    assert not [heard for heard in impostor.heard if "secret-token" in heard]


def test_an_unusable_state_folder_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem) as refused:
        start(tmp_path / "file")
    assert refused.value.code == "state_dir_unusable"


def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(Problem) as failed:
        control.start(tmp_path, command=(sys.executable, "-c", "raise SystemExit('out of luck')"))
    assert failed.value.code == "local_not_started"
    assert "out of luck" in failed.value.message


@linux
def test_only_loopback_is_listened_on(folder: Path) -> None:
    cloud = start(folder)
    own, listening = sockets(cloud.pid), []
    for family in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{cloud.pid}/net/{family}").read_text().splitlines()[1:]:
            parts = line.split()
            if f"socket:[{parts[9]}]" in own and (parts[3] == "0A" or family.startswith("udp")):
                listening.append(parts[1])
    port = int(cloud.endpoint.rpartition(":")[2])
    assert listening == [f"0100007F:{port:04X}"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_files_are_the_users_alone(folder: Path, files: LocalFiles) -> None:
    start(folder)
    assert stat.S_IMODE(files.root.stat().st_mode) == 0o700
    for path in (files.cloud, files.credentials, files.log):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_status_tells_what_runs_and_what_is_not_simulated(folder: Path) -> None:
    stopped = control.status(folder)
    assert (stopped.cloud, stopped.queue) == (None, None)
    cloud = start(folder)
    told = control.status(folder)
    assert told.cloud == cloud
    assert told.capabilities == {"stub": True}
    assert told.queue is not None
    assert told.queue["waiting"] == 0
    assert told.projects == ()
    assert told.data_bytes > 0
    assert any("alarms" in line for line in told.not_simulated)


def test_projects_are_those_with_settings(folder: Path, connect: Callable[..., Any]) -> None:
    parameters = connect(start(folder), "ssm", region="eu-west-1")
    parameters.put_parameter(Name="/imgpipe/holiday/settings", Value="{}", Type="String")
    parameters.put_parameter(Name="/imgpipe/other/token", Value="x", Type="SecureString")
    assert control.status(folder).projects == ("holiday",)
    parameters.delete_parameter(Name="/imgpipe/holiday/settings")
    assert control.status(folder).projects == ()


def test_the_environment_reaches_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = start(folder)
    program = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **client_env.env(cloud)}
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == cloud.account
    assert cloud.secret_access_key not in repr(cloud)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "intranet,localhost")
    assert client_env.env(cloud)["NO_PROXY"] == "intranet,localhost,127.0.0.1"


def test_control_imports_nothing_heavy() -> None:
    program = "import sys, imgpipe_cli.local.process.control; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(told.stdout.split())
    assert not loaded & {
        "ministack",
        "boto3",
        "botocore",
        "cv2",
        "hypercorn",
        "asyncio",
        "http.client",
        "numpy",
    }
