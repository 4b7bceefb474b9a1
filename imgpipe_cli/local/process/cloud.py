"""MiniStack inside our process: some of its functions replaced, and a guard in front."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from imgpipe_cli.local.emulator.environment import ACCOUNT, REGION
from imgpipe_cli.local.emulator.invocations import AsyncInvocations
from imgpipe_cli.local.emulator.lost_events import LostEvents
from imgpipe_cli.local.emulator.ministack_state import MiniStackState, Uncopied
from imgpipe_cli.local.emulator.private_names import MiniStack
from imgpipe_cli.local.emulator.snapshots import Snapshots
from imgpipe_cli.local.files import LocalFiles, read_json, size_bytes, write_json
from imgpipe_cli.local.guard.access import Rules
from imgpipe_cli.local.guard.anonymous import close_root, refuse_unknown_actions
from imgpipe_cli.local.guard.asgi import Message, Receive, Scope, Send
from imgpipe_cli.local.guard.form_uploads import require_signature
from imgpipe_cli.local.guard.guard import Guard
from imgpipe_cli.local.guard.signatures import Signatures, keep_headers
from imgpipe_cli.local.guard.storage import Storage
from imgpipe_cli.local.process.credentials import FunctionSessions, Key, Keys, administrator
from imgpipe_cli.local.process.memory import memory_bytes
from imgpipe_cli.local.process.own_routes import OwnRoutes
from imgpipe_cli.local.rekognition.endpoint import Analysis, CallerReads, RekognitionService, register
from imgpipe_cli.local.rekognition.faults import FaultSwitch
from imgpipe_cli.system import file_io

LOGGER = logging.getLogger("imgpipe.local")

# How long a stop waits for the functions that are running; what has not ended is run again after the next
# start.
_DRAIN_S = 3.0


class Cloud:
    """The whole local cloud but for its socket: an ASGI app, and what happens at its start and stop."""

    def __init__(
        self,
        files: LocalFiles,
        port: int,
        ministack: MiniStack,
        *,
        workers: int,
        concurrency: int,
        load: Callable[[int], Analysis],
    ) -> None:
        """concurrency: events worked on at once. Most of them wait; what takes CPU has so many workers."""
        self._files = files
        self._port = port
        self._ministack = ministack
        self.stop = asyncio.Event()
        self._keys = Keys(ministack.iam, ministack.sts)
        self._concurrency = concurrency
        self._invocations = AsyncInvocations(ministack.lambda_svc, workers=concurrency, on_change=self._touch)
        self._faults = FaultSwitch()
        self._rekognition = RekognitionService(
            lambda: load(workers),
            CallerReads(ministack.app, ministack.iam_evaluator, ministack.iam_actions, ministack.router),
            workers=workers,
            faults=self._faults,
        )
        self._replace()
        self._state = MiniStackState(
            ministack.app,
            ministack.persistence,
            ministack.lambda_svc,
            Uncopied(ministack.dynamodb, ministack.cloudwatch_logs),
            self._invocations.queue.records,
        )
        self._snapshots = Snapshots(files.state, files.older, self._state.parts, after=self._state.prune)
        self._storage = Storage(
            files.data, unsaved=lambda: self._snapshots.trouble, sizes=self._snapshots.sizes
        )
        self._storage.watch(ministack.s3)
        self._own = OwnRoutes(
            port=port,
            token=secrets.token_hex(32),
            queue=self._invocations.queue.depth,
            capabilities=self._rekognition.capabilities,
            details=self._details,
            save=self._saved,
            stop=self.stop,
            faults=self._faults,
        )
        self._guard = Guard(
            ministack.app.app,
            Rules(port, self._keys.known, self._bucket_exists, self._api_exists),
            self._own,
            verify=Signatures(ministack.app, ministack.iam_evaluator, ministack.s3),
            storage=self._storage,
            api_slots=max(2, workers),
            rekognition_slots=4 * workers,
            on_write=self._snapshots.touch,
        )
        self._saving: asyncio.Task[None] | None = None

    def _replace(self) -> None:
        """Replace parts of MiniStack; private_names.py checks at each start that this takes effect."""
        sessions = FunctionSessions(self._ministack.sts)
        # setattr: these are a module's functions, which a type checker rightly takes for constants.
        for module, name, ours in (
            (self._ministack.lambda_svc, "invoke_async_with_retry", self._invocations.accept),
            (self._ministack.lambda_svc, "_execute_function_dispatch", self._invocations.dispatch),
            (self._ministack.lambda_runtime, "execution_credentials", sessions.credentials),
        ):
            setattr(module, name, ours)
        require_signature(self._ministack.s3)
        close_root(self._ministack.iam_evaluator)
        keep_headers(self._ministack.app)
        refuse_unknown_actions(
            self._ministack.app,
            self._ministack.router,
            self._ministack.iam_actions,
            self._keys.administrator,
        )
        register(self._rekognition, self._ministack.app, self._ministack.router, self._ministack.iam_actions)

    def _bucket_exists(self, name: str) -> bool:
        return self._ministack.s3._bucket_owner_account(name) is not None

    def _api_exists(self, api_id: str) -> bool:
        # HTTP APIs first: the module of REST APIs, which no pipeline has, need not be loaded for them.
        modules = map(self._ministack.app._get_module, ("apigateway", "apigateway_v1"))
        return any(module.find_api_scope(api_id) is not None for module in modules)

    def _touch(self) -> None:
        # A method and not the snapshots' own: the queue is one of the things that they save.
        self._snapshots.touch()

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._guard(scope, receive, send)
            return

        async def watched(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                try:
                    await self._ready()
                except Exception as error:
                    LOGGER.exception("start-up failed")
                    message = {
                        "type": "lifespan.startup.failed",
                        "message": f"{type(error).__name__}: {error}",
                    }
            await send(message)

        await self._ministack.app.app(scope, receive, watched)

    async def drained(self) -> None:
        """Wait until a stop is asked for, then until the running functions have ended or had their time."""
        await self.stop.wait()
        # While the server still answers: the functions that are running store their results through it.
        await asyncio.to_thread(self._invocations.drain, _DRAIN_S)

    def load(self, *, older: bool) -> None:
        """Take what the last run saved; before serving. Raises Problem where that is damaged."""
        if count := self._invocations.queue.restore(self._state.load(self._files, older=older)):
            LOGGER.info("%d events of the last run go on", count)

    def close(self) -> None:
        """After the server has ended: end the workers and save everything."""
        self._rekognition.close()
        self._ministack.lambda_runtime.reset()
        self._invocations.queue.close(1)
        if self._saving is not None:
            self._snapshots.save()
            self._snapshots.save()  # so that the older one is as good as the latest

    async def _ready(self) -> None:
        """What was saved is loaded; from here on MiniStack may be used."""
        before = read_json(self._files.credentials)
        key = await administrator(self._files, self._ministack.iam, self._keys)
        if asdict(key) != before:
            # A new key must be in the state before anyone is told about it.
            await asyncio.to_thread(self._snapshots.save)
        await asyncio.to_thread(self._send_lost_events)
        self._saving = asyncio.create_task(self._snapshots.run())
        self._invocations.queue.start()
        self._rekognition.warm()
        self._announce(key)

    def _send_lost_events(self) -> None:
        lost = LostEvents(self._ministack.s3, self._ministack.dynamodb, self._ministack.ssm)
        try:
            count = lost.send(event["payload"] for event in self._invocations.queue.records())
        except Exception:
            # What is there must stay within reach; `imgpipe retry --missing` asks for the same.
            LOGGER.exception("could not look for pictures without a result")
            return
        if count:
            LOGGER.info("%d pictures have no result yet or were removed: their events are sent again", count)
            self._touch()

    def _announce(self, key: Key) -> None:
        file_io.write(self._files.port, str(self._port))
        write_json(
            self._files.cloud,
            {
                "pid": os.getpid(),
                "port": self._port,
                "access_key_id": key.access_key_id,
                "secret_access_key": key.secret_access_key,
                "account": ACCOUNT,
                "region": REGION,
                "token": self._own.token,
                "concurrency": self._concurrency,
            },
        )
        LOGGER.info("serving http://127.0.0.1:%d", self._port)

    def _saved(self) -> str:
        """Save, before a stop; why that fails, if it does."""
        try:
            self._snapshots.save()
        except OSError as error:
            LOGGER.error("could not save the state: %s", error)
        return self._snapshots.trouble

    def _details(self) -> dict[str, Any]:
        """What `imgpipe local status` shows and health does not."""
        return {
            "memory_bytes": memory_bytes(self._worker_pids()),
            "data_bytes": size_bytes(self._files.data),
            "projects": self._projects(),
            "disk_trouble": self._storage.trouble(picture=True),
        }

    def _worker_pids(self) -> list[int]:
        pools = list(self._ministack.lambda_runtime._workers.values())
        processes = [worker._proc for pool in pools for worker in list(pool)]
        return [process.pid for process in processes if process is not None and process.poll() is None]

    def _projects(self) -> list[str]:
        """The projects set up here: `up` writes each one's settings first, and `down` removes them last."""
        names = [str(name) for _, _, name in list(self._ministack.ssm._parameters._data)]
        parts = [name.split("/") for name in names]
        return sorted(
            {part[2] for part in parts if len(part) == 4 and part[1] == "imgpipe" and part[3] == "settings"}
        )
