"""Every command as it stands in lists and help: a command is one file and one entry here.

Nothing here imports a command: the lists of commands, suggestions and completion are there without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Entry:
    """summary: the first sentence of its own help. examples: no longer than a line of a narrow terminal.

    section: the heading under which the list of commands shows it; "" for those within another.
    reads: it changes nothing, so a reader who has seen enough of it, as head has, has all of it.
    streams: whether its JSON is one document a line: never, always, or while it waits with --wait.
    """

    module: str
    summary: str
    examples: tuple[str, ...]
    section: str = ""
    reads: bool = False
    streams: Literal["never", "always", "waiting"] = "never"


# By the words behind `imgpipe`, in the order of the lists.
COMMANDS: dict[str, Entry] = {
    "upload": Entry(
        "upload",
        "Send pictures into the pipeline.",
        (
            "imgpipe upload photo.jpg --wait",
            "imgpipe upload holiday/ --prefix 2026/",
            "imgpipe upload - --key photo.jpg < photo.jpg",
        ),
        "Every day",
        streams="waiting",
    ),
    "result": Entry(
        "result",
        "Show what was found in pictures.",
        (
            "imgpipe result photo.jpg",
            "imgpipe result photo.jpg --annotate boxes.jpg",
            "imgpipe result photo.jpg --json",
        ),
        "Every day",
        reads=True,
    ),
    "list": Entry(
        "list",
        "Show the results, newest first.",
        (
            "imgpipe list --label Cat --min-confidence 90",
            "imgpipe list --status failed --since 2h",
            "imgpipe list --limit 0 --json",
        ),
        "Every day",
        reads=True,
        streams="always",
    ),
    "find": Entry(
        "find",
        "Find pictures by labels, by words seen in them and by words of their keys, best first.",
        (
            "imgpipe find Cat Sofa",
            'imgpipe find --text "happy birthday"',
            "imgpipe find Cat Dog --any --name holiday",
        ),
        "Every day",
        reads=True,
        streams="always",
    ),
    "labels": Entry(
        "labels",
        "Show the labels that pictures have, the most frequent first, with the number of pictures.",
        ("imgpipe labels", "imgpipe labels --prefix c --json"),
        "Every day",
        reads=True,
    ),
    "watch": Entry(
        "watch",
        "Show results as they arrive, from any uploader, until Ctrl-C.",
        ("imgpipe watch --since 10m", "imgpipe watch inbox/ --existing"),
        "Every day",
        reads=True,
        streams="always",
    ),
    "export": Entry(
        "export",
        "Write results for other tools: tables, data sets, keywords for photo tools.",
        (
            "imgpipe export --to csv --out results.csv",
            "imgpipe export --to xmp --min-confidence 80",
            "imgpipe export --to sqlite --out r.db --since 1d",
        ),
        "Every day",
        reads=True,
    ),
    "rm": Entry(
        "rm",
        "Remove pictures and their results.",
        ("imgpipe rm photo.jpg", "imgpipe rm 'holiday/*.png'", "imgpipe rm --prefix 2025/ --purge"),
        "Every day",
    ),
    "open": Entry(
        "open",
        "Open the web page in the browser, already signed in.",
        ("imgpipe open", "imgpipe open --save viewer.html"),
        "Every day",
    ),
    "status": Entry(
        "status",
        "Show the state of each step (ready, busy, missing, drifted or not owned) and the outputs.",
        ("imgpipe status", "imgpipe status --json"),
        "Look into it",
        reads=True,
    ),
    "cost": Entry(
        "cost",
        "Show this month's pictures, analyses and dollars by feature, and what the monthly limit leaves.",
        ("imgpipe cost", "imgpipe cost --json"),
        "Look into it",
        reads=True,
    ),
    "explain": Entry(
        "explain",
        "Show a picture's story step by step, and the next step.",
        ("imgpipe explain photo.jpg",),
        "Look into it",
        reads=True,
    ),
    "retry": Entry(
        "retry",
        "List failed pictures by reason, and analyze them again.",
        ("imgpipe retry", "imgpipe retry photo.jpg --again", "imgpipe retry --missing --dry-run"),
        "Look into it",
    ),
    "logs": Entry(
        "logs",
        "Show what the functions log; with --verbose also Lambda's own lines and tracebacks.",
        ("imgpipe logs ingest --since 20m --errors", "imgpipe logs --follow"),
        "Look into it",
        reads=True,
        streams="always",
    ),
    "doctor": Entry(
        "doctor",
        "Check machine, credentials, account, pipeline; say what to do.",
        ("imgpipe doctor", "imgpipe doctor --aws --for up,upload"),
        "Look into it",
        reads=True,
    ),
    "up": Entry(
        "up",
        "Set up the pipeline: carry out the steps that are missing.",
        (
            "imgpipe up --local",
            "imgpipe up --region eu-west-1 --features labels,text",
            "imgpipe up --dry-run",
        ),
        "Set up",
    ),
    "down": Entry(
        "down",
        "Remove the pipeline: show what will go, ask, remove it, check again.",
        ("imgpipe down --dry-run", "imgpipe down --keep-bucket"),
        "Set up",
    ),
    "token": Entry(
        "token",
        "Print the access token, and nothing else, on standard output.",
        ("imgpipe token", "imgpipe token --rotate"),
        "Set up",
    ),
    "policy": Entry(
        "policy",
        "Print the smallest IAM policy with which the commands work.",
        ("imgpipe policy > policy.json", "imgpipe policy --for upload,result", "imgpipe policy --explain"),
        "Set up",
        reads=True,
    ),
    "local faults": Entry(
        "local_faults",
        "Make the local Rekognition throttle, fail or be slow; without options: show what is on.",
        ("imgpipe local faults --tps 5", "imgpipe local faults --off"),
    ),
    "local start": Entry(
        "local", "Start the local cloud; pipelines set up earlier are there again.", ("imgpipe local start",)
    ),
    "local stop": Entry("local", "Stop the local cloud and keep its data.", ("imgpipe local stop",)),
    "local status": Entry(
        "local",
        "Show whether the local cloud runs, what it can do, and what it does not simulate.",
        ("imgpipe local status",),
        reads=True,
    ),
    "local logs": Entry(
        "local",
        "Show the local cloud's own log.",
        ("imgpipe local logs --lines 20 --follow",),
        reads=True,
        streams="always",
    ),
    "local env": Entry(
        "local",
        'Print what `aws` and boto3 need to reach the local cloud: eval "$(imgpipe local env)".',
        ('eval "$(imgpipe local env)"',),
        reads=True,
    ),
    "local models": Entry(
        "local_models", "List, fetch or pack models.", ("imgpipe local models",), reads=True
    ),
}
# The groups: what they say of themselves, their examples, and the heading under which the list shows them.
GROUPS: dict[str, Entry] = {
    "": Entry(
        "",
        "A serverless image-analysis pipeline: set up, used and removed from the command line.",
        ("imgpipe up --local", "imgpipe upload photo.jpg --wait", "imgpipe list --label Cat", "imgpipe down"),
    ),
    "local": Entry(
        "",
        "The cloud on this machine: start, stop, status, logs, env, models, faults.",
        ("imgpipe up --local", "imgpipe local status"),
        "This machine",
    ),
}
# The pages of commands that come with their group's module.
_INNER = {
    "local models fetch": (
        "imgpipe local models fetch",
        "imgpipe local models fetch yolox-tiny",
        "imgpipe local models fetch --from imgpipe-models.zip",
    ),
    "local models pack": ("imgpipe local models pack imgpipe-models.zip",),
}
EXAMPLES: Mapping[str, Sequence[str]] = {
    **{words: entry.examples for words, entry in (GROUPS | COMMANDS).items()},
    **_INNER,
}


def sections() -> dict[str, list[str]]:
    """Heading -> the commands under it, as `imgpipe --help` lists them."""
    found: dict[str, list[str]] = {}
    for words, entry in (COMMANDS | GROUPS).items():
        if entry.section:
            found.setdefault(entry.section, []).append(words)
    return found
