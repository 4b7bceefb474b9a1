"""What the deployed functions are there for, done by their real code under whatever role they have."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus, urlsplit

from imgpipe_cli.aws.client import Aws, Place
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resources.iam_role import permissions
from imgpipe_cli.deploy.results import store
from imgpipe_cli.pictures.api import Api
from imgpipe_cli.session.settings import Settings
from shared.dynamo_types import to_attributes
from shared.index_rows import ONE, asking_pk, name_pk, rows_of
from tests.support.machine import Machine, jpeg

Policy = Mapping[str, Any]
# Later events have higher numbers.
_ORDER = itertools.count(1)


@dataclass(frozen=True)
class Site:
    """A pipeline whose bucket calls nobody: its functions run when a job has them run."""

    machine: Machine
    names: Names
    settings: Settings
    api: Api
    token: str

    def policy(self, function: str, settings: Settings | None = None) -> dict[str, Any]:
        return permissions(function, self.names, settings or self.settings)

    def allow(self, function: str, policy: Policy) -> None:
        """Let the function do exactly this from now on."""
        self.machine.client("iam").put_role_policy(
            RoleName=self.names.role(function), PolicyName="imgpipe", PolicyDocument=json.dumps(policy)
        )

    # --- ingest ---

    def arrive(self, key: str, body: bytes = b"", *, version: bool = True, there: bool = True) -> bool:
        """Have a picture looked at, by default one with new bytes; whether the function ended well."""
        number = next(_ORDER)
        body = body or jpeg(number)
        thing = {"eTag": "e"}
        if there:
            answer = self.machine.client("s3").put_object(Bucket=self.names.bucket, Key=key, Body=body)
            thing |= {"versionId": answer["VersionId"]} if version else {}
        return self._happened("ObjectCreated:Put", key, number, **thing)

    def _happened(self, what: str, key: str, number: int, **more: str) -> bool:
        """Tell ingest of an event; whether it ended well."""
        thing = {"key": quote_plus(key), "sequencer": f"{number:018x}", **more}
        record = {
            "eventSource": "aws:s3",
            "eventVersion": "2.1",
            "eventName": what,
            "s3": {"bucket": {"name": self.names.bucket}, "object": thing},
        }
        answer = self.machine.client("lambda").invoke(
            FunctionName=self.names.function("ingest"), Payload=json.dumps({"Records": [record]}).encode()
        )
        return "FunctionError" not in answer

    def analyzed(self, *, version: bool = True) -> bool:
        key = f"{uuid.uuid4().hex}.jpg"
        return self.arrive(key, version=version) and self._stored(key).get("status") == "done"

    def analyzed_without_version(self) -> bool:
        return self.analyzed(version=False)

    def reused(self) -> bool:
        """The second of two pictures with the same bytes has the analysis of the first."""
        first, second = f"{uuid.uuid4().hex}.jpg", f"{uuid.uuid4().hex}.jpg"
        body = jpeg(next(_ORDER))
        if not (self.arrive(first, body) and self.arrive(second, body)):
            return False
        return bool(self._stored(second).get("reusedFrom"))

    def ended(self) -> bool:
        """Nobody is kept from asking about the bytes of a picture that is done."""
        key, body = f"{uuid.uuid4().hex}.jpg", jpeg(next(_ORDER))
        row = {"pk": asking_pk(hashlib.sha256(body).hexdigest()), "sk": ONE}
        done = self.arrive(key, body)
        claim = self.machine.client("dynamodb").get_item(
            TableName=self.names.index_table, Key=to_attributes(row)
        )
        return done and "Item" not in claim

    def renewed(self) -> bool:
        """A second picture under one key: the entry of the first leaves the index."""
        key = f"{uuid.uuid4().hex}.jpg"
        return all([self.arrive(key), self.arrive(key)])

    def removed(self) -> bool:
        """With a picture its result goes, and the rows by which it was found."""
        key = f"{uuid.uuid4().hex}.jpg"
        if not self.arrive(key) or not self._rows(key):
            return False
        self.machine.client("s3").delete_object(Bucket=self.names.bucket, Key=key)
        went = self._happened("ObjectRemoved:DeleteMarkerCreated", key, next(_ORDER), versionId="marker")
        return went and not self._stored(key) and not self._rows(key)

    def _rows(self, key: str) -> list[Any]:
        """Those by which it is found by its name."""
        found: list[Any] = self.machine.client("dynamodb").query(
            TableName=self.names.index_table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_attributes({":pk": name_pk(key.removesuffix(".jpg"))}),
        )["Items"]
        return found

    def told_gone(self) -> bool:
        """A picture that is not there any more has its final result; nobody tries again."""
        key = f"{uuid.uuid4().hex}.jpg"
        return self.arrive(key, there=False) and self._stored(key)["error"]["code"] == "gone"

    def _stored(self, key: str) -> dict[str, Any]:
        return dict(self.api.result(key) or {})

    # --- get_result ---

    def read(self) -> bool:
        key = self.put_result()
        return self.api.get("/result", {"key": key})[0] == 200

    def told_missing(self) -> bool:
        return self.api.get("/result", {"key": f"{uuid.uuid4().hex}.jpg"})[0] == 404

    # --- web ---

    def listed(self) -> bool:
        key = self.put_result()
        status, found = self.api.get("/results", {"limit": "100"})
        return status == 200 and key in [item["objectKey"] for item in found["items"]]

    def counted(self) -> bool:
        status, found = self.api.get("/usage", {})
        return status == 200 and "analyses" in found

    def found(self) -> bool:
        """A picture is found by a word of its key, once its result has its rows."""
        key = f"{uuid.uuid4().hex}.jpg"
        word = key.removesuffix(".jpg")
        item = {**self._result_of(key), "indexed": [f"00.00 {name_pk(word)}"], "indexedAt": 1}
        dynamodb = self.machine.client("dynamodb")
        for row in rows_of(item, item["indexed"], 1):
            dynamodb.put_item(TableName=self.names.index_table, Item=to_attributes(row))
        self._put_stored(item)
        status, found = self.api.get("/results", {"name": word})
        return status == 200 and [one["objectKey"] for one in found["items"]] == [key]

    def linked(self) -> bool:
        return self.api.get("/image", {"key": self.put_result()})[0] == 200

    def shown(self) -> bool:
        """The link to the very version opens."""
        return self._opens(version=True)

    def shown_without_version(self) -> bool:
        return self._opens(version=False)

    def _opens(self, *, version: bool) -> bool:
        status, found = self.api.get("/image", {"key": self.put_result(version=version)})
        assert status == 200
        url = urlsplit(found["url"])
        return _answered(url.netloc, "GET", f"{url.path}?{url.query}", b"", {}) == 200

    def uploaded(self) -> bool:
        """The form of the page is taken by S3."""
        picture = jpeg(6)
        wish = {"key": "page.jpg", "sizeBytes": len(picture), "contentType": "image/jpeg"}
        status, form = self._post("/uploads", json.dumps(wish).encode())
        assert status == 201, form
        edge = uuid.uuid4().hex
        fields = b"".join(
            f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in form["fields"].items()
        )
        file = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'.encode()
        body = fields + file + picture + f"\r\n--{edge}--\r\n".encode()
        goal = urlsplit(form["url"])
        kind = {"Content-Type": f"multipart/form-data; boundary={edge}"}
        return _answered(goal.netloc, "POST", goal.path or "/", body, kind) in (200, 201, 204)

    def _post(self, path: str, body: bytes) -> tuple[int, Any]:
        goal = urlsplit(self.api.url)
        connection = http.client.HTTPConnection(goal.netloc, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request("POST", f"{goal.path}{path}", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def put_result(self, *, version: bool = True) -> str:
        """A stored result of a stored picture, without the functions; its key."""
        key = f"{uuid.uuid4().hex}.jpg"
        put = self.machine.client("s3").put_object(Bucket=self.names.bucket, Key=key, Body=jpeg(8))
        self._put_stored(
            self._result_of(key) | ({"versionId": put["VersionId"]} if version else {}),
        )
        return key

    def _result_of(self, key: str) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {
            "objectKey": key,
            "status": "done",
            "sequencer": "1".ljust(32, "0"),
            "analyzedAt": f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z",
            "day": f"{now:%Y-%m-%d}",
            "contentType": "image/jpeg",
            "features": ["labels"],
            "labels": [],
        }

    def _put_stored(self, item: Any) -> None:
        cloud = self.machine.cloud()
        place = Place(self.names.region, None, cloud.endpoint, cloud.access_key_id, cloud.secret_access_key)
        assert store.store(self.settings.results, Aws(place), self.names).put(item, absent=True)


def _answered(host: str, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> int:
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request(method, path, body, dict(headers))
    answer = connection.getresponse()
    answer.read()
    return answer.status


def without(policy: Policy, statement: str, action: str | None = None) -> dict[str, Any]:
    """The policy less one action of one statement, or less the whole statement."""
    kept = [
        {**one, "Action": [a for a in one["Action"] if one["Sid"] != statement or action not in (None, a)]}
        for one in policy["Statement"]
    ]
    return {**policy, "Statement": [one for one in kept if one["Action"]]}
