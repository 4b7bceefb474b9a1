"""Twelve defects of twelve kinds, to be planted one at a time: do the tests find them?

They were chosen and written down before anybody looked at which tests might find them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Defect:
    """kind: one word for what goes wrong. right stands once in the file; wrong is what takes its place."""

    name: str
    kind: str
    file: str
    right: str
    wrong: str

    @property
    def path(self) -> Path:
        return ROOT / self.file

    def plant(self) -> None:
        """Raises ValueError where the file has changed so much that the defect needs a new place."""
        text = self.path.read_text(encoding="utf-8")
        if text.count(self.right) != 1:
            raise ValueError(f"{self.file} holds {self.right!r} {text.count(self.right)} times, not once")
        self.path.write_text(text.replace(self.right, self.wrong), encoding="utf-8", newline="\n")


DEFECTS = (
    Defect(
        "older-pictures-not-shown",
        "a dropped permission",
        "imgpipe_cli/deploy/resources/iam_role.py",
        '_allow("ShowPictures", ["s3:GetObject", "s3:GetObjectVersion"]',
        '_allow("ShowPictures", ["s3:GetObject"]',
    ),
    Defect(
        "weakened-statement-not-seen",
        "a wrong drift comparison",
        "imgpipe_cli/deploy/resources/s3_bucket.py",
        'differs = statement not in there and not facts["plain_http"]',
        'differs = len(others) == len(there) and not facts["plain_http"]',
    ),
    Defect(
        "late-record-dropped",
        "a lost event",
        "lambda_src/ingest/app.py",
        'raise TimeoutError("no time left for this record")',
        "return None",
    ),
    Defect(
        "note-not-escaped",
        "a missing escape",
        "imgpipe_cli/render/text.py",
        "NOTES[code].format(detail=safe(detail))",
        "NOTES[code].format(detail=detail)",
    ),
    Defect(
        "pending-beats-failed",
        "a wrong exit code",
        "imgpipe_cli/commands/result.py",
        "for c in (ExitCode.FAILED, ExitCode.PENDING) if c in codes",
        "for c in (ExitCode.PENDING, ExitCode.FAILED) if c in codes",
    ),
    Defect(
        "create-sent-twice",
        "a double send",
        "imgpipe_cli/deploy/resource.py",
        "aws.call(self.service, self.operation, once=self.once, **_with_secrets(self.params))",
        "aws.call(self.service, self.operation, **_with_secrets(self.params))",
    ),
    Defect(
        "full-day-ends-the-list",
        "an off-by-one in paging",
        "lambda_src/web/table_list.py",
        "self._day(place, limit + 1)",
        "self._day(place, limit)",
    ),
    Defect(
        "short-sequencers-sort-first",
        "a wrong order of events",
        "lambda_src/shared/events.py",
        'text.upper().ljust(SEQUENCER_DIGITS, "0")',
        'text.upper().rjust(SEQUENCER_DIGITS, "0")',
    ),
    Defect(
        "one-tag-is-enough",
        "a wrong owner",
        "imgpipe_cli/aws/names.py",
        "return all(found.get(key) == value for key, value in self.tags.items())",
        "return any(found.get(key) == value for key, value in self.tags.items())",
    ),
    Defect(
        "result-before-its-entry",
        "a wrong order of writes",
        "lambda_src/ingest/bucket_store.py",
        """            if not announced:
                for entry in entries:
                    self.s3.put_object(Bucket=self.bucket, Key=entry, Body=b"")
                announced = True
            request = put_request(plain(item), found[1] if found else None)
            try:
                self.s3.put_object(Bucket=self.bucket, **request)
""",
        """            request = put_request(plain(item), found[1] if found else None)
            try:
                self.s3.put_object(Bucket=self.bucket, **request)
                for entry in () if announced else entries:
                    self.s3.put_object(Bucket=self.bucket, Key=entry, Body=b"")
                announced = True
""",
    ),
    Defect(
        "removal-not-saved",
        "data that does not survive",
        "imgpipe_cli/local/guard/guard.py",
        'if asked.method in ("GET", "HEAD", "OPTIONS"):',
        'if asked.method in ("GET", "HEAD", "OPTIONS", "DELETE"):',
    ),
    Defect(
        "other-run-not-noticed",
        "a lost race",
        "imgpipe_cli/deploy/conflicts.py",
        "if not settled or observe.snapshot(pipeline, lambda _event: None, only=settled.keys()) == settled:",
        "if not settled or observe.snapshot(pipeline, lambda _event: None, only=settled.keys()):",
    ),
)
