"""Keywords in an XMP packet, the XML of a sidecar: automatic ones come and go, all else stays byte for byte.

imgpipe notes its own keywords in the packet, under a name that nobody else has. A keyword that is not noted
is somebody's own and stays. One that is noted and no longer among the keywords was removed by somebody, and
does not come back. Where a photo tool drops that note, all keywords count as somebody's own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from xml.parsers import expat

from imgpipe_cli.pictures.exporting.keywords import SEPARATOR, Keywords

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC = "http://purl.org/dc/elements/1.1/"
_LR = "http://ns.adobe.com/lightroom/1.0/"
_OURS = "http://ns.imgpipe.invalid/xmp/1.0/"
# Property, as the parser names it -> how it is written.
_NAMES, _PATHS = f"{_DC} subject", f"{_LR} hierarchicalSubject"
_AUTO_NAMES, _AUTO_PATHS = f"{_OURS} AutomaticSubject", f"{_OURS} AutomaticHierarchicalSubject"
_WRITTEN = {
    _NAMES: "dc:subject",
    _PATHS: "lr:hierarchicalSubject",
    _AUTO_NAMES: "imgpipe:AutomaticSubject",
    _AUTO_PATHS: "imgpipe:AutomaticHierarchicalSubject",
}
_EMPTY = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    f' <rdf:RDF xmlns:rdf="{_RDF}">\n </rdf:RDF>\n'
    "</x:xmpmeta>\n"
).encode()
_LI = f"{_RDF} li"
_ABOUT = (f"{_RDF} about", "about")
_UTF_8 = ("utf-8", "utf8", "us-ascii", "ascii")


class NotXmp(Exception):
    """The sidecar is left alone; the text says why."""


def merged(packet: bytes | None, wanted: Keywords) -> bytes | None:
    """The packet with these automatic keywords in place of those before; None where it has them already.

    packet: None for a sidecar that is not there. Raises NotXmp.
    """
    found = _Reader(_EMPTY if packet is None else packet)
    values = found.values
    names, auto_names, declined = _combined(values[_NAMES], values[_AUTO_NAMES], wanted.names)
    paths, auto_paths, _ = _combined(values[_PATHS], values[_AUTO_PATHS], wanted.paths, leaves=declined)
    after = {_NAMES: names, _PATHS: paths, _AUTO_NAMES: auto_names, _AUTO_PATHS: auto_paths}
    # Their order says nothing.
    same = all(sorted(after[name]) == sorted(values[name]) for name in _WRITTEN)
    return None if same else found.with_values(after)


def _combined(
    now: Sequence[str], noted: Sequence[str], wanted: Iterable[str], *, leaves: frozenset[str] = frozenset()
) -> tuple[list[str], list[str], frozenset[str]]:
    """The keywords, those of them that are automatic, and the automatic ones that somebody removed, folded.

    leaves: a path that ends in one of these was removed, too.
    """
    there, automatic = {_folded(one) for one in now}, {_folded(one) for one in noted}
    new = {_folded(one): one for one in wanted}
    removed = {one for one in automatic if one not in there}
    removed |= {one for one in new if one.rpartition(SEPARATOR)[2] in leaves}
    stays = (there - automatic) | (new.keys() - removed)
    # In their order, each once.
    first = {_folded(one): one for one in reversed(now)}
    keywords = [one for one in dict.fromkeys(first[_folded(one)] for one in now) if _folded(one) in stays]
    keywords += [one for key, one in new.items() if key not in there | removed]
    own = there - automatic
    notes = [one for key, one in new.items() if key not in own]
    notes += [one for one in noted if _folded(one) in removed - new.keys()]
    return keywords, notes, frozenset(removed)


# Pictures have the same few keywords again and again.
@lru_cache(4096)
def _folded(text: str) -> str:
    """Photo tools take keywords for one that differ in case only."""
    return unicodedata.normalize("NFC", text).casefold()


@dataclass
class _Part:
    """A stretch of bytes: a description, or one of its properties that are ours to write."""

    start: int
    end: int = 0
    foreign: bool = False
    properties: list[_Part] = field(default_factory=list)


class _Reader:
    """What a packet holds of keywords, and where."""

    def __init__(self, packet: bytes) -> None:
        self.values: dict[str, list[str]] = {name: [] for name in _WRITTEN}
        self._packet = packet
        self._about: str | None = None
        self._insert_at = 0
        # Of the RDF; 0: not met so far.
        self._depth = 0
        self._stack: list[str] = []
        self._descriptions: list[_Part] = []
        self._text: list[str] = []
        # Where a part ends is known at the next event.
        self._ending: list[_Part] = []
        self._parser = expat.ParserCreate("utf-8", " ")
        self._parser.XmlDeclHandler = self._declared
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.DefaultHandler = self._other
        try:
            packet.decode()
            self._parser.Parse(packet, True)
        except UnicodeDecodeError as error:
            raise NotXmp("it is not written in UTF-8") from error
        except expat.ExpatError as error:
            raise NotXmp(f"it is no XML: {expat.ErrorString(error.code)}") from error
        finally:
            del self._parser  # it holds on to us, and there may be thousands before garbage is collected
        if not self._insert_at:
            raise NotXmp("it holds no XMP")

    # --- reading ---------------------------------------------------------------------------------

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _UTF_8:
            raise NotXmp(f"it is written in {encoding}, not in UTF-8")

    def _doctype(self, *_: object) -> None:
        raise NotXmp("it declares a document type, which no XMP does")

    def _here(self) -> int:
        at = self._parser.CurrentByteIndex
        for part in self._ending:
            part.end = at
        self._ending = []
        return at

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        at = self._here()
        if self._stack[-1:] == [_LI] and self._property():
            raise NotXmp("its keywords hold more than text")
        self._stack.append(name)
        if name == f"{_RDF} RDF":
            self._enter(len(self._stack))
        elif self._is_description():
            self._descriptions.append(_Part(at, foreign=not attributes.keys() <= set(_ABOUT)))
            if self._about is None:
                self._about = next((attributes[one] for one in _ABOUT if one in attributes), "")
        elif self._is_description(above=1):
            if name in _WRITTEN:
                self._descriptions[-1].properties.append(_Part(at))
            else:
                self._descriptions[-1].foreign = True
        self._text = []

    def _enter(self, depth: int) -> None:
        if self._depth:
            raise NotXmp("it holds several packets")
        self._depth = depth

    def _is_description(self, above: int = 0) -> bool:
        """Whether the parser is at a description, or so many elements within one."""
        place = self._stack[self._depth :]
        return bool(self._depth) and len(place) == 1 + above and place[0] == f"{_RDF} Description"

    def _property(self) -> str | None:
        """The property of ours that the parser is in."""
        name = next(iter(self._stack[self._depth + 1 :]), "")
        return name if self._depth and name in _WRITTEN else None

    def _end(self, name: str) -> None:
        at = self._here()
        if name == _LI and (own := self._property()) is not None:
            self.values[own].append("".join(self._text).strip())
        elif self._is_description():
            self._ending.append(self._descriptions[-1])
        elif self._is_description(above=1) and name in _WRITTEN:
            self._ending.append(self._descriptions[-1].properties[-1])
        elif len(self._stack) == self._depth and self._packet.startswith(b"</", at):
            self._insert_at = len(self._packet[:at].rstrip())
        self._stack.pop()

    def _characters(self, text: str) -> None:
        self._here()
        self._text.append(text)

    def _other(self, text: str) -> None:
        self._here()
        # A comment within a description that we wrote is somebody's.
        if text.strip() and self._is_description():
            self._descriptions[-1].foreign = True

    # --- writing ---------------------------------------------------------------------------------

    def with_values(self, values: dict[str, list[str]]) -> bytes:
        cuts = [
            part
            for one in self._descriptions
            for part in ([one] if one.properties and not one.foreign else one.properties)
        ]
        pieces, at = [], 0
        for part in cuts:
            pieces.append(self._packet[at : part.start].rstrip())
            at = part.end
        pieces += [self._packet[at : self._insert_at], _description(self._about or "", values)]
        return b"".join((*pieces, self._packet[self._insert_at :]))


def _description(about: str, values: dict[str, list[str]]) -> bytes:
    """A block of its own, which declares all that it uses: XMP lets several describe one picture."""
    properties = (
        f"\n   <{_WRITTEN[name]}>\n    <rdf:Bag>{''.join(map(_li, values[name]))}\n    </rdf:Bag>"
        f"\n   </{_WRITTEN[name]}>"
        for name in _WRITTEN
        if values[name]
    )
    text = "".join(properties)
    spaces = f'xmlns:rdf="{_RDF}" xmlns:dc="{_DC}" xmlns:lr="{_LR}" xmlns:imgpipe="{_OURS}"'
    return f'\n  <rdf:Description rdf:about="{escape(about)}" {spaces}>{text}\n  </rdf:Description>'.encode()


@lru_cache(4096)
def _li(value: str) -> str:
    return f"\n     <rdf:li>{escape(value, quote=False)}</rdf:li>"
