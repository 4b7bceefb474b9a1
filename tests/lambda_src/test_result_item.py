"""The result item is the same in the code, in the API's description, and for the public."""

from __future__ import annotations

import ast
import operator
import typing
from functools import reduce
from pathlib import Path
from typing import Any, Literal, NotRequired

import pytest
import yaml

from shared import result_item
from shared.result_item import ResultItem, StoredItem
from shared.results import FEATURES, at_least, in_public, shown

SOURCE = Path(result_item.__file__)
SCHEMAS = yaml.safe_load((SOURCE.parents[1] / "openapi.yaml").read_text(encoding="utf-8"))["components"][
    "schemas"
]
NOT_PUBLIC = {
    *("versionId", "eTag", "sequencer", "original", "sha256", "reusedFrom", "notIndexed"),
    *("faces", "text", "imageUrl"),
}


def form_of_type(kind: Any) -> Any:
    """A type in the form in which `form_of_schema` gives a schema."""
    if typing.is_typeddict(kind):
        return dict(_field(*one) for one in typing.get_type_hints(kind, include_extras=True).items())
    match typing.get_origin(kind), typing.get_args(kind):
        case typing.Literal, words:
            return set(words)
        case (found, (entry,)) if found is list:
            return [form_of_type(entry)]
        case (found, (_, value)) if found is dict:
            return {"*": form_of_type(value)}
    return {str: "string", int: "integer", float: "number", bool: "boolean", Any: "anything"}[kind]


def _field(name: str, kind: Any) -> tuple[str, Any]:
    if typing.get_origin(kind) is NotRequired:
        return f"{name}?", form_of_type(*typing.get_args(kind))
    return name, form_of_type(kind)


def form_of_schema(schema: dict[str, Any]) -> Any:
    """An object as {name: form}, with "?" behind what is optional; a list as [form]; an enum as a set."""
    if "$ref" in schema:
        return form_of_schema(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    if "allOf" in schema:
        return reduce(operator.or_, map(form_of_schema, schema["allOf"]))
    if "enum" in schema:
        return set(schema["enum"])
    if schema["type"] == "array":
        return [form_of_schema(schema["items"])]
    return _form_of_object(schema) if schema["type"] == "object" else schema["type"]


def _form_of_object(schema: dict[str, Any]) -> dict[str, Any]:
    if "properties" not in schema:
        further = schema.get("additionalProperties")
        return {"*": form_of_schema(further) if further else "anything"}
    required = set(schema.get("required", []))
    assert required <= schema["properties"].keys()
    return {
        f"{name}{'' if name in required else '?'}": form_of_schema(field)
        for name, field in schema["properties"].items()
        if field is not False
    }


def test_the_description_has_the_fields_of_the_type_with_their_types_optional_ones_too() -> None:
    described, typed = form_of_schema(SCHEMAS["Result"]), form_of_type(ResultItem)
    # With the token these two are always there; the type holds the public's answers too.
    for name in ("eTag", "sequencer"):
        described[f"{name}?"] = described.pop(name)
    assert described == typed


def test_the_public_gets_the_fields_that_its_description_has() -> None:
    fields = form_of_type(ResultItem)
    everything: Any = {name.rstrip("?"): "x" for name in fields} | {"trimmed": {"labels": 1, "faces": 2}}
    public = in_public(everything)
    assert public.keys() == everything.keys() - NOT_PUBLIC
    assert public["trimmed"] == {"labels": 1}
    described = form_of_schema(SCHEMAS["PublicResult"])
    assert described == {name: form for name, form in fields.items() if name.rstrip("?") not in NOT_PUBLIC}
    refused = {name for name, field in SCHEMAS["PublicResult"]["allOf"][1]["properties"].items() if not field}
    assert refused == NOT_PUBLIC - {"imageUrl"}  # GET /result has none


def test_readers_see_what_is_stored_but_for_the_internal_fields() -> None:
    everything: Any = {name.rstrip("?"): "x" for name in form_of_type(StoredItem)}
    seen = shown(everything)
    assert seen is not None
    assert seen.keys() == typing.get_type_hints(ResultItem).keys()
    assert shown({"objectKey": "a", "status": "removed", "sequencer": "1"}) is None


def test_every_feature_is_a_field() -> None:
    assert typing.get_args(result_item.Feature) == FEATURES
    assert set(FEATURES) < typing.get_type_hints(ResultItem).keys()
    item: Any = {name: [{"Confidence": 60.0}] for name in FEATURES}
    kept: Any = at_least(item, 99)
    assert [name for name in FEATURES if kept[name]] == ["properties"]


@pytest.mark.parametrize("name", ["ResultItem", "StoredItem"])
def test_every_field_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    (body,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    fields = [place for place, node in enumerate(body) if isinstance(node, ast.AnnAssign)]
    assert fields
    for place in fields:
        told = body[place + 1]
        assert isinstance(told, ast.Expr), ast.unparse(body[place])
        assert isinstance(told.value, ast.Constant), ast.unparse(body[place])
        if name == "ResultItem":
            assert "From " in str(told.value.value), ast.unparse(body[place])


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (list[int], ["integer"]),
        (dict[str, float], {"*": "number"}),
        (dict[str, Any], {"*": "anything"}),
        (Literal["a", "b"], {"a", "b"}),
        (
            result_item.Failure,
            {
                "code": "string",
                "message": "string",
                "hint": "string",
                "retryable": "boolean",
                "triesLeft?": "integer",
            },
        ),
        (result_item.Trait, {"Value": "boolean", "Confidence?": "number"}),
    ],
)
def test_a_type_has_its_form(kind: Any, form: Any) -> None:
    assert form_of_type(kind) == form
