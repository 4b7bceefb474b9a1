"""What somebody meant who typed a command or an option that there is not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

# Words of other tools -> what it is called here, as it is typed.
_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "imgpipe list --label NAME": ("search", "find", "filter", "grep"),
    "imgpipe down (the whole pipeline) or aws s3 rm (one picture)": ("delete", "remove", "rm", "del"),
    "imgpipe down": ("destroy", "teardown", "uninstall", "undeploy", "clean", "purge"),
    "imgpipe list": ("ls", "dir", "history", "pictures", "images"),
    "imgpipe --help": ("help", "man", "usage", "commands"),
    "imgpipe --version": ("version", "about"),
    "imgpipe up": ("deploy", "create", "init", "install", "setup", "provision", "apply", "update", "upgrade"),
    "imgpipe upload": ("add", "send", "put", "push", "import", "cp", "copy", "analyze", "scan", "sync"),
    "imgpipe result": ("get", "show", "cat", "view", "labels", "detect"),
    "imgpipe logs": ("log", "tail"),
    "imgpipe open": ("web", "browser", "ui", "page", "gui", "serve"),
    "imgpipe status": ("info", "state", "describe", "outputs", "config"),
    "imgpipe doctor": ("check", "diagnose", "test", "verify"),
    "imgpipe retry": ("rerun", "redo", "resume", "reprocess", "redrive"),
    "imgpipe explain": ("why", "trace"),
    "imgpipe policy": ("iam", "permissions"),
    "imgpipe local start": ("start",),
    "imgpipe local stop": ("stop",),
    "imgpipe local models": ("models", "model"),
    "imgpipe local faults": ("faults",),
    "imgpipe local env": ("env",),
    "imgpipe --install-completion": ("completion", "completions"),
}
_IN_LOCAL: Mapping[str, tuple[str, ...]] = {
    "imgpipe up --local": ("up", "create", "init", "install"),
    "imgpipe down --local": ("down", "delete", "remove", "rm", "destroy"),
    "imgpipe local status": ("ls", "list", "ps", "info"),
    "imgpipe local --help": ("help",),
    "imgpipe doctor --local": ("doctor", "check"),
}
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "--yes": ("force", "no-confirm", "assume-yes", "non-interactive", "confirm", "approve", "auto-approve"),
    "--dry-run": ("dryrun", "plan", "check", "preview", "what-if"),
    "--min-confidence": ("threshold", "confidence", "minimum"),
    "--follow": ("tail", "watch"),
    "--verbose": ("debug", "trace", "details"),
    "--limit": ("max", "count", "number", "all"),
    "--wait": ("block", "sync", "watch"),
    "--project": ("name", "pipeline", "stack"),
}


# How the parser says that a number is none, or is out of bounds.
_NO_NUMBER = re.compile(r"is not a valid (int|float)(?:eger)?(?: range)?\.$")
_BELOW = re.compile(r"is not in the range x>=([\d.]+)\.$")
_NOT_BETWEEN = re.compile(r"is not in the range ([\d.]+)<=x<=([\d.]+)\.$")


def meant(error: Any) -> tuple[str, str]:
    """(what is wrong, what was meant) of a usage error; "" where nothing is like it."""
    context = getattr(error, "ctx", None)
    option = getattr(error, "option_name", None)
    if option is not None and hasattr(error, "possibilities"):
        found = _option(option, context.command.params) if context else ""
        return error.message, found
    typed = _unknown_command(error)
    if typed is None:
        return _in_words(error.format_message()), ""
    return f"No such command {typed!r}.", _command(typed, context)


def _in_words(message: str) -> str:
    """Without int range and 0<=x<=100, in which the parser thinks."""
    kinds = {"int": "a whole number", "float": "a number"}
    said = _NO_NUMBER.sub(lambda found: f"is not {kinds[found[1]]}.", message)
    return _NOT_BETWEEN.sub(r"is not from \1 to \2.", _BELOW.sub(r"is below \1.", said))


def _unknown_command(error: Any) -> str | None:
    """What was typed in place of a command; None if that is not what is wrong."""
    context = getattr(error, "ctx", None)
    found = re.match(r"No such command (['\"])(.*?)\1(?:\.$|\. Did you mean )", error.message)
    return found[2] if context is not None and found else None


def _command(typed: str, context: Any) -> str:
    path = context.command_path
    table = {"imgpipe": _COMMANDS, "imgpipe local": _IN_LOCAL}.get(path, {})
    for command, words in table.items():
        if typed.lower() in words:
            return command
    names = [name for name, found in context.command.commands.items() if not found.hidden]
    near = get_close_matches(typed.lower(), names, n=2)
    return " or ".join(f"{path} {name}" for name in near)


def _option(typed: str, parameters: Iterable[Any]) -> str:
    """Hidden ones are nobody's who does not know them."""
    there = [
        name.lstrip("-")
        for parameter in parameters
        if parameter.param_type_name == "option" and not parameter.hidden
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--")
    ]
    word = typed.lstrip("-").lower()
    for option, words in _OPTIONS.items():
        if word in words and option[2:] in there:
            return option
    near = get_close_matches(word, there, n=1, cutoff=0.7)
    return f"--{near[0]}" if near else ""
