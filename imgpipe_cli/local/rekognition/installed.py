"""The models of the moment: looked for at every picture, loaded at first use and when a file changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from imgpipe_cli.local.models.catalogue import Model, Role
from imgpipe_cli.local.models.store import ModelFolder, Stamp
from imgpipe_cli.local.rekognition.classifier import Classifier
from imgpipe_cli.local.rekognition.faces import FaceFinder
from imgpipe_cli.local.rekognition.objects import Detector

Network = TypeVar("Network")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finders:
    """What looks at pictures at this moment; one answer is made with one of these. None: not installed."""

    objects: Detector | None = None
    classes: Classifier | None = None
    faces: FaceFinder | None = None

    @property
    def versions(self) -> dict[Role, str]:
        """Of those that are there."""
        each: dict[Role, Detector | Classifier | FaceFinder | None]
        each = {"object": self.objects, "class": self.classes, "face": self.faces}
        return {role: finder.version for role, finder in each.items() if finder is not None}


class Installed(Generic[Network]):
    """The network of one role. candidates: the models that may fill it, the preferred first."""

    def __init__(
        self, folder: ModelFolder | None, candidates: Sequence[Model], load: Callable[[str, bytes], Network]
    ) -> None:
        self._folder = folder
        self._candidates = candidates
        self._load = load
        self._lock = threading.Lock()
        self._seen: tuple[Stamp | None, ...] = ()
        self._network: Network | None = None

    def network(self) -> Network | None:
        """None where no model is installed, or none that can be used (the log says why)."""
        folder = self._folder
        if folder is None:
            return None
        stamps = tuple(folder.stamp(model) for model in self._candidates)
        with self._lock:
            if stamps != self._seen:
                there = [model for model, stamp in zip(self._candidates, stamps, strict=True) if stamp]
                loaded = (self._loaded(folder, model) for model in there)
                self._network = next((network for network in loaded if network is not None), None)
                self._seen = stamps
            return self._network

    def _loaded(self, folder: ModelFolder, model: Model) -> Network | None:
        data = folder.read(model)
        if data is None:
            _log.error("%s is not the pinned file and is not used", folder.path(model))
            return None
        try:
            return self._load(model.version, data)
        except Exception:  # whatever the runtime throws: the other finders go on without it
            _log.exception("%s cannot be loaded", folder.path(model))
            return None


class InstalledModels:
    """All roles. A model fetched while the cloud runs is used for the next picture."""

    def __init__(self, folder: ModelFolder | None, catalogue: Sequence[Model], threads: int) -> None:
        # What the user has chosen to add is better than what everybody gets.
        models = sorted(catalogue, key=lambda model: not model.optional)

        def of(role: Role) -> list[Model]:
            return [model for model in models if model.role == role]

        self._objects = Installed(folder, of("object"), Detector)
        self._classes = Installed(folder, of("class"), Classifier)
        self._faces = Installed(folder, of("face"), lambda version, data: FaceFinder(version, data, threads))

    def finders(self) -> Finders:
        return Finders(self._objects.network(), self._classes.network(), self._faces.network())
