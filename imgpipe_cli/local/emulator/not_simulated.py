"""What the local cloud does not do, said plainly; `imgpipe local status` prints it."""

from __future__ import annotations

NOT_SIMULATED = (
    "throttling of the HTTP API, and its access logs",
    "alarms",
    "an account too small to reserve concurrency in, and how AWS's queue uses what is reserved",
    "a function's memory limit; payloads over 6 MB and API answers after 30 s pass",
    "Lambda permissions (who may invoke a function) and the trust policies of roles",
    "the function's Python version and architecture: it runs on this machine's Python",
    "expiry of objects by lifecycle rules",
    "content moderation other than the label Explicit",
    "Signature Version 2, links of services other than S3, requests of over 100 MB: they are refused",
    "events accepted in the last seconds before the process is killed (a clean stop keeps all that wait)",
)
