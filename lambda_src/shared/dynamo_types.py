"""Python values to DynamoDB attribute values and back, with exact numbers.

boto3's serializer refuses floats ("Float types are not supported. Use Decimal types instead.") and `json`
refuses the Decimals that its deserializer returns; both conversions live here and nowhere else. The command
line loads this very file, under another package name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from .results import REVISION

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_SERIALIZER = TypeSerializer()
_DESERIALIZER = TypeDeserializer()
_EXACT = 2.0**53
"""Below it a float holds every whole number exactly."""


def exact(value: Any) -> Any:
    """`value` with each float as the Decimal of its shortest text, at any depth.

    `Decimal(0.1)` would have 55 digits, and DynamoDB takes 38. Raises ValueError for NaN and infinities.
    """
    match value:
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} cannot be stored: DynamoDB has only finite numbers")
            return Decimal(str(value))
        case Mapping():
            return {str(name): exact(part) for name, part in value.items()}
        case list() | tuple():
            return [exact(part) for part in value]
        case _:
            return value


def plain(value: Any) -> Any:
    """`value` with each Decimal as the int or float that JSON knows, at any depth."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case Mapping():
            return {name: plain(part) for name, part in value.items()}
        case list():
            return [plain(part) for part in value]
        case _:
            return value


def to_attributes(item: Mapping[str, Any]) -> dict[str, AttributeValueTypeDef]:
    """The item as the low-level client wants it: `{"width": {"N": "640"}, ...}`."""
    return {name: _SERIALIZER.serialize(exact(value)) for name, value in item.items()}


def from_attributes(attributes: Mapping[str, AttributeValueTypeDef]) -> dict[str, Any]:
    """The item as plain Python: int, float, str, bool, None, list and dict only."""
    return {name: _from_attribute(value) for name, value in attributes.items()}


def _from_attribute(attribute: Any) -> Any:
    """One value. Written out, since boto3's deserializer and `plain` after it take five times as long."""
    ((kind, value),) = attribute.items()
    match kind:
        case "S" | "BOOL":
            return value
        case "N":
            return _number(value)
        case "L":
            return [_from_attribute(part) for part in value]
        case "M":
            return {name: _from_attribute(part) for name, part in value.items()}
        case _:
            return plain(_DESERIALIZER.deserialize(attribute))


def _number(text: str) -> int | float:
    if text.lstrip("-").isdecimal():
        return int(text)
    number = float(text)
    if abs(number) >= _EXACT:
        return int(Decimal(text)) if number.is_integer() else number
    return int(number) if number.is_integer() else number


def unchanged(seen: Mapping[str, Any] | None) -> dict[str, Any]:
    """PutItem's condition that the table still holds the result that was `seen`; None: none of this key."""
    if seen is None:
        return {
            "ConditionExpression": "attribute_not_exists(#key)",
            "ExpressionAttributeNames": {"#key": "objectKey"},
        }
    return {
        "ConditionExpression": " AND ".join(
            f"#{name} = :{name}" if name in seen else f"attribute_not_exists(#{name})" for name in REVISION
        ),
        # "status" is a word reserved by DynamoDB, so all names go through aliases.
        "ExpressionAttributeNames": {f"#{name}": name for name in REVISION},
        "ExpressionAttributeValues": to_attributes(
            {f":{name}": seen[name] for name in REVISION if name in seen}
        ),
    }


def stored_size(value: Any) -> int:
    """Bytes that DynamoDB counts for `value` (never less), for its limit of 400 KB an item.

    The published rules: text is its UTF-8 length; a number is one byte for each two digits and at most 21; a
    list or map is 3 bytes and 1 more for each member; a map's names count like text.
    """
    match value:
        case None | bool():
            return 1
        case str():
            return len(value.encode())
        case int() | float() | Decimal():
            return min(21, len(str(value)) // 2 + 2)
        case Mapping():
            return 3 + sum(len(name.encode()) + 1 + stored_size(part) for name, part in value.items())
        case list() | tuple():
            return 3 + sum(1 + stored_size(part) for part in value)
        case _:
            raise TypeError(f"no DynamoDB size for {type(value).__name__}")
