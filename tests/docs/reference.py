"""Writes the pages of docs/reference that follow from the program and from the description of the HTTP API.

python -m tests.docs.reference
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from imgpipe_cli import cli
from imgpipe_cli.commands.table import EXAMPLES
from tests.docs.figures import figures

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "reference"
_SHARED = "Options of every command:"
_MADE = "<!-- Made by `make reference`; do not edit. -->\n"


def pages() -> Mapping[str, str]:
    """File name -> its whole text."""
    return {"commands.md": commands(), "figures.md": f"{_MADE}{figures()}", "http-api.md": http_api()}


def commands() -> str:
    """Each command's help as the terminal shows it; the options of every command once."""
    first = next(path for path in EXAMPLES if path)
    shared = _help(first).partition(_SHARED)[2].partition("\nExamples:")[0]
    parts = [
        f"{_MADE}# Commands\n",
        "This page shows the help of each command, as `imgpipe COMMAND --help` prints it.",
        "`imgpipe --install-completion` lets your shell complete commands, options, projects and keys.\n",
        _block("## Options of every command", shared.strip("\n")),
    ]
    for path in sorted(EXAMPLES, key=lambda path: path.startswith("local")):
        text, _, rest = _help(path).partition(_SHARED)
        examples = rest.partition("\nExamples:")[2]
        if examples:
            text = f"{text}Examples:{examples}"
        parts.append(_block(f"## imgpipe {path}".rstrip(), text.strip("\n")))
    return "\n".join(parts)


def _block(title: str, text: str) -> str:
    return f"{title}\n\n```text\n{text}\n```\n"


def _help(path: str) -> str:
    out = io.StringIO()
    before = dict(os.environ)
    os.environ.update(COLUMNS="80", NO_COLOR="1")
    try:
        with contextlib.redirect_stdout(out):
            cli.main([*path.split(), "--help"])
    finally:
        os.environ.clear()
        os.environ.update(before)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def http_api() -> str:
    api = yaml.safe_load((ROOT / "lambda_src" / "openapi.yaml").read_text(encoding="utf-8"))
    lines = [
        f"{_MADE}# HTTP API\n",
        "This page follows from `lambda_src/openapi.yaml`, the OpenAPI 3.1 description of the API.",
        "`imgpipe status` shows the address of your API. Send the token that `imgpipe token` prints as",
        "`Authorization: Bearer <token>`.\n",
        api["info"]["description"].strip(),
        "",
    ]
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    }
    common = frozenset.intersection(*(frozenset(one["responses"]) for one in operations.values()))
    for title, operation in operations.items():
        lines += _operation(api, title, operation, common)
    some = next(iter(operations.values()))["responses"]
    lines += ["## Answers that every route may give\n"]
    lines += _table(
        "Answer", "Meaning", [(code, _first_line(_found(api, some[code]))) for code in sorted(common)]
    )
    lines += ["## Fields of a result\n", *_fields(api)]
    return "\n".join(lines) + "\n"


def _operation(api: Any, title: str, operation: Any, common: frozenset[str]) -> Iterator[str]:
    yield f"## {title}\n"
    yield f"{operation['summary']}.\n"
    if text := operation.get("description"):
        yield f"{text.strip()}\n"
    yield f"Access: {_access(operation.get('security', api['security']))}.\n"
    if parameters := operation.get("parameters"):
        yield from _table("Parameter", "Meaning", [_parameter(_found(api, one)) for one in parameters])
    if body := operation.get("requestBody"):
        fields = body["content"]["application/json"]["schema"]["properties"]
        yield from _table("Field of the body", "Values", [(f"`{n}`", _values(s)) for n, s in fields.items()])
    own = {code: one for code, one in operation["responses"].items() if code not in common}
    answers = [(code, _first_line(_found(api, one))) for code, one in own.items()]
    yield from _table("Answer", "Meaning", answers)


def _access(security: list[Any]) -> str:
    if not security:
        return "public"
    return "public; with `up --private` the token" if {} in security else "the token"


def _parameter(one: Any) -> tuple[str, str]:
    meaning = [one.get("description", ""), _values(one["schema"])]
    return f"`{one['name']}`", " ".join(part for part in meaning if part)


def _values(schema: Any) -> str:
    if choices := schema.get("enum"):
        return "One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
    limits = [f"{word} {schema[key]:,}" for key, word in _LIMITS.items() if key in schema]
    return f"{schema['type'].capitalize()}{''.join(f', {one}' for one in limits)}."


_LIMITS = {"minimum": "at least", "maximum": "at most", "default": "by default"}
_LIMITS |= {"minItems": "at least", "maxItems": "at most"}


def _fields(api: Any) -> Iterator[str]:
    schemas = api["components"]["schemas"]
    everyone, token = schemas["ResultForAll"], schemas["Result"]["allOf"][1]
    yield "A feature that was asked for is an array, or stands under `unavailable` with the reason."
    yield "An empty array means that Rekognition looked and found nothing."
    yield "Names inside the arrays are Amazon Rekognition's.\n"
    always = {*everyone["required"], *token["required"]}
    rows = []
    for schema, access in ((everyone, "everyone"), (token, "the token")):
        for name, field in schema["properties"].items():
            rows.append((f"`{name}`", "always" if name in always else "where known", access, _kind(field)))
    yield "| Field | Present | Shown to | Kind |\n|---|---|---|---|"
    yield from ("| " + " | ".join(row) + " |" for row in rows)


def _kind(field: Any) -> str:
    if "enum" in field:
        return " or ".join(f"`{one}`" for one in field["enum"])
    kind = field.get("format") or field.get("type") or "object"
    note = field.get("description", "")
    return f"{kind}; {note[0].lower()}{note[1:]}" if note else str(kind)


def _found(api: Any, one: Any) -> Any:
    if "$ref" not in one:
        return one
    for name in one["$ref"].removeprefix("#/").split("/"):
        api = api[name]
    return api


def _first_line(answer: Any) -> str:
    return " ".join(answer["description"].split())


def _table(left: str, right: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    yield f"| {left} | {right} |\n|---|---|"
    yield from (f"| {name} | {text} |" for name, text in rows)
    yield ""


def main() -> None:
    for name, text in pages().items():
        (PAGES / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
