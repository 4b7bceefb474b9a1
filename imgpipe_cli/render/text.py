"""Plain wording: sizes, durations, and text from outside made safe for a terminal."""

from __future__ import annotations

import re
import unicodedata

from imgpipe_cli.events import Changing, Counted, Event, Waiting
from imgpipe_cli.lambdas import source as functions

# What is drawn as nothing: Unicode's Default_Ignorable_Code_Point, and the blank Braille pattern.
_BLANK = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# No language writes more of them on one letter; hundreds cover the lines above and below.
_MARKS_ON_ONE = 4
_EMOJI_STYLE = "\ufe0f"

# A percent sign stays with its number.
WORD = r"\S+(?: %\S*)?"

_LONGEST_WORD = 200
_LONGEST_TEXT = 1000


def safe(text: object) -> str:
    """The text with everything that a terminal would obey, or not show, as an escape instead."""
    shown: list[str] = []
    marks, before = 0, ""
    for char in str(text):
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        styles = char == _EMOJI_STYLE and unicodedata.category(before or " ") == "So"
        good = styles or (is_shown(char) and marks <= _MARKS_ON_ONE)
        shown.append(char if good else _escape(char))
        before = char
    return "".join(shown)


def lines(text: str) -> str:
    """The same, where the text may have several lines."""
    return "\n".join(map(safe, text.split("\n")))


def short(text: str) -> str:
    """The text with an end: what somebody typed, or wrote into a file, may have none."""
    cut = re.sub(rf"(\S{{{_LONGEST_WORD}}})\S+", r"\1...", text)
    return cut if len(cut) <= _LONGEST_TEXT else f"{cut[:_LONGEST_TEXT]}..."


def fitted(text: str, columns: int) -> str:
    """The text with its lines broken between words; what fits into no line stays whole."""
    return "\n".join(_fitted_line(line, columns) for line in text.split("\n"))


def _fitted_line(line: str, columns: int) -> str:
    """What goes on below stands under what it belongs to: behind a name or a time, or a little further in."""
    if width(line) <= columns:
        return line
    named = re.match(r" *\S+(?: \S+)* {2,}", line)
    indent = named.end() if named and named.end() <= columns // 2 else len(line) - len(line.lstrip(" ")) + 2
    shown, used = "", 0
    for word in re.findall(rf" *{WORD} *$| *{WORD}", line):
        bare = word.lstrip(" ")
        room = width(bare)
        if shown and used + width(word) > columns and room <= columns:
            below = min(indent, columns - room)
            shown, used = f"{shown}\n{' ' * below}{bare}", below + room
        else:
            shown, used = shown + word, used + width(word)
    return shown


def whole_words(text: str, columns: int, between: str = " ") -> str:
    """As many of its first words, or parts that something else stands between, as one line holds."""
    if width(text) <= columns:
        return text
    while text and width(text) > columns - 2:
        text = text.rpartition(between)[0]
    return f"{text} …"


def width(text: str) -> int:
    """The columns of a terminal that it takes: a letter of Chinese or Japanese takes two, an accent none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def is_shown(char: str) -> bool:
    """False for what a terminal would obey, or not show at all."""
    return char.isprintable() and not _BLANK.match(char) and unicodedata.category(char) != "Cf"


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")


def size(size_bytes: float) -> str:
    """1536 -> "1.5 KB", as the functions write sizes too."""
    return functions.picture.size_text(size_bytes)


def count(number: int, one: str, several: str = "") -> str:
    """2, "picture" -> "2 pictures". several: where the plural is another than that."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def seconds(duration_s: float) -> str:
    return f"{duration_s:.1f} s" if duration_s < 10 else f"{duration_s:.0f} s"


def detail(event: Event) -> str:
    """One change or wait as --verbose tells it; empty for every other event."""
    match event:
        case Changing(resource=resource, verb=verb, what=what):
            return f"{resource}: {verb} {safe(what)}"
        case Waiting(resource=resource, detail=why, waited_s=waited_s):
            return f"{resource}: waiting {seconds(waited_s)}: {safe(why)}"
        case Counted(resource=resource, done=done):
            return f"{resource}: {done:,} versions deleted"
    return ""


NOTES = {
    "not_remembered": "The pipeline is looked up each time: {detail}",
    "not_forgotten": "imgpipe still remembers the pipeline: {detail}",
    "starting_local": "Starting the local cloud on this machine.",
    "fetching_models": "Fetching {detail}.",
    "models_installed": "Installed {detail}.",
    "models_not_fetched": "The models of the local analysis could not be fetched: {detail} "
    "Later: imgpipe local models fetch. To do without: imgpipe up --no-models",
    "decline_not_kept": "The next imgpipe up fetches the models: {detail}",
    "no_object_model": "No object model is installed, so objects are not named: imgpipe local models fetch",
    "no_class_model": "No class model is installed, so animals, food and vehicles are missed: imgpipe local "
    "models fetch",
    "no_face_model": "No face model is installed, so faces are not found: imgpipe local models fetch",
    "no_moderation": "Moderation is not installed, and results say so: {detail}",
    "own_key": (
        "Own KMS key: {detail}. imgpipe gives no rights on it. Let the functions' roles and all uploaders "
        "use it (kms:Decrypt and kms:GenerateDataKey in its key policy), or choose SSE-S3 and SSE-SQS again."
    ),
    "no_tls_policy": "The endpoint {detail} is plain http: no TLS-only statement in the bucket's policy.",
    "settings_rebuilt": "The stored settings were removed; the functions still have them: {detail}.",
    "not_capped": (
        "AWS refused to reserve {detail} runs for the ingest function, since the account has too few. The "
        "pipeline works without. A burst may overflow the failure queue: imgpipe doctor tells more."
    ),
    "older_imgpipe": "This imgpipe is older: {detail}. Upgrade imgpipe to keep the newer code.",
    "results_copied": "Results copied: {detail}.",
    "results_switched": "The pipeline now uses {detail}.",
    "store_removed": "Removed: {detail}.",
    "results_verified": "Results checked: {detail}.",
    "index_repaired": "Entries of the indexes: {detail}.",
    "indexed": "The indexes of the results in {detail} are complete.",
    "local_stopped": "The last pipeline is gone: the local cloud was stopped.",
    "folders_kept": "Files of the same name keep their folders: {detail}.",
    "passed_over": "Skipped, since hidden or no picture: {detail}.",
    "links_left_out": "Skipped, since the link leads out of the folder: {detail}.",
    "new_versions": "Sent as a new version: {detail}.",
    "converted": "Converted before sending: {detail}.",
    "places_told": "Sent with the place where it was taken: {detail}. --strip-metadata leaves that out.",
    "sent_slowly": "The fast way to send is not there ({detail}): this upload takes longer.",
    "counting_pictures": "Counting the pictures that are to be analyzed.",
    "many_left": "{detail} Not sent, nor what follows while so many come: imgpipe watch --yes sends all.",
    "existing_left": "{detail} already in the folder; watch with --existing to send them too.",
    "watching": "Watching {detail}. Stop with Ctrl-C.",
    "feed_interrupted": "No connection ({detail}): trying again.",
    "feed_back": "Connected again.",
    "replaced_meanwhile": "{detail}: replaced or removed since it was sent, so this picture gets no result; "
    "imgpipe result KEY shows what is there now.",
    "some_pending": "{detail} still without a result; ask again with imgpipe result KEY --wait.",
    "folder_gone": "The folder cannot be read just now ({detail}): looking again.",
    "no_log_lines": "No log lines {detail}.",
    "following": "Following the log of {detail}. Stop with Ctrl-C.",
    "no_results": "There are no results yet: send a picture with imgpipe upload.",
    "left_out": "Left out without the access token: {detail}. "
    "Run the command where the token may be read; imgpipe policy --for result prints what that needs.",
    "no_match": "No result matches.",
    "none_found": "No result matches. imgpipe labels lists the labels that pictures have.",
    "none_as_sure": "No result matches with at least {detail} %. "
    "imgpipe labels lists the labels that pictures have; --min-confidence shows less sure ones.",
    "not_looked_for": "No result matches: this pipeline does not look for {detail}.",
    "exporting": "Exporting results.",
    "annotated": "Drawn: {detail}.",
    "no_boxes": "Drawn: {detail}; nothing that was found has a place in the picture.",
    "counting": "Counting pictures.",
    "removing": "Removing pictures.",
    "not_results": "Not everything there is a result: {detail}.",
    "no_labels": "No picture has a label yet.",
    "no_labels_match": "No label {detail}.",
    "limited": "There may be more: --limit shows more (0: all). To go on from here: --after {detail}",
    "index_begun": "The index does not have all results yet: run imgpipe up, which adds them.",
    "index_filling": "The index has {detail} results: run imgpipe up, which adds the others.",
    "list_limited": "The newest {detail}; --limit shows more (0: all).",
    "source_account_left_out": "Lambda could not take the functions' roles. imgpipe now leaves the condition "
    "aws:SourceAccount out of their trust policies and tries once more. "
    "imgpipe up --source-account brings it back.",
    "aws_busy": "The answer was {detail}: trying again for up to two minutes.",
    "not_sent_yet": "Not sent ({detail}): trying again.",
}


def note(code: str, detail: str) -> str:
    return NOTES[code].format(detail=safe(detail))
