"""What the local analysis has no model for, as `up` and `status` repeat it."""

from __future__ import annotations

from collections.abc import Iterable

_WITHOUT_MODEL = {"object": "no_object_model", "class": "no_class_model", "face": "no_face_model"}
_USED = {"labels": tuple(_WITHOUT_MODEL), "faces": ("face",)}


def gaps(features: Iterable[str]) -> list[tuple[str, str]]:
    """The codes of notes, each with its detail, about what cannot be found of what is asked for."""
    from imgpipe_cli.local.models.store import missing_roles
    from imgpipe_cli.local.rekognition.capabilities import GET_MODERATION
    from imgpipe_cli.local.rekognition.moderation import is_installed

    asked = set(features)
    used = {role for feature in asked for role in _USED.get(feature, ())}
    missing = [(_WITHOUT_MODEL[role], "") for role in missing_roles() if role in used]
    if "moderation" in asked and not is_installed():
        missing.append(("no_moderation", GET_MODERATION))
    return missing
