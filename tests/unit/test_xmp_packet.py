"""Keywords in a sidecar: automatic ones come and go, and everything else stays byte for byte."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from imgpipe_cli.pictures.exporting.keywords import Keywords, keywords
from imgpipe_cli.pictures.exporting.xmp_packet import NotXmp, merged
from tests.support.api_server import item

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
SUBJECT = "{http://purl.org/dc/elements/1.1/}subject"
PATHS = "{http://ns.adobe.com/lightroom/1.0/}hierarchicalSubject"
CAT = Keywords(("Cat", "Animal"), ("Animal|Cat", "Animal"))
DOG = Keywords(("Dog", "Animal"), ("Animal|Dog", "Animal"))

# As darktable, Lightroom and digiKam write them.
HISTORY = """<darktable:history><rdf:Seq>
    <rdf:li darktable:num="0" darktable:params="gz02e&amp;&lt;"/></rdf:Seq>
   </darktable:history>"""
THEIRS = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk='XMP Core 4.4.0-Exiv2'>
 <!-- kept -->
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="uuid:1&amp;2"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:darktable="http://darktable.sf.net/"
    xmlns:d="http://purl.org/dc/elements/1.1/"
   xmp:Rating="4" darktable:note="a > b">
   {HISTORY}
   <d:subject>
    <rdf:Bag>
     <rdf:li>Müller &amp; Söhne</rdf:li>
     <rdf:li>cat</rdf:li>
    </rdf:Bag>
   </d:subject>
   <d:title><rdf:Alt><rdf:li xml:lang="x-default">Ünser Hof</rdf:li></rdf:Alt></d:title>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()


def bag(packet: bytes, name: str) -> list[str]:
    found = ET.fromstring(packet).iter(name)
    return [str(li.text) for one in found for li in one.iter(f"{RDF}li")]


def rewritten(packet: bytes, wanted: Keywords) -> bytes:
    after = merged(packet, wanted)
    assert after is not None
    return after


def without(packet: bytes, keyword: str) -> bytes:
    """As a photo tool removes a keyword: imgpipe's own note stays as it is."""
    head, begin, rest = packet.partition(b"<dc:subject>")
    kept, end, tail = rest.partition(b"</dc:subject>")
    line = f"\n     <rdf:li>{keyword}</rdf:li>".encode()
    assert line in kept
    return head + begin + kept.replace(line, b"") + end + tail


def test_a_new_sidecar_has_keywords_and_their_paths_once() -> None:
    packet = merged(None, CAT)
    assert packet is not None
    assert bag(packet, SUBJECT) == ["Cat", "Animal"]
    assert bag(packet, PATHS) == ["Animal|Cat", "Animal"]
    assert merged(packet, CAT) is None


def test_a_picture_without_keywords_gets_no_sidecar() -> None:
    assert merged(None, Keywords()) is None


def test_foreign_content_stays_byte_for_byte_and_a_person_s_keywords_survive_three_runs() -> None:
    packet = rewritten(rewritten(rewritten(THEIRS, CAT), DOG), CAT)
    # The person's own "cat" is that keyword already.
    assert bag(packet, SUBJECT) == ["Müller & Söhne", "cat", "Animal"]
    assert bag(packet, PATHS) == ["Animal", "Animal|Cat"]
    start = THEIRS.index(b"\n   <d:subject>")
    end = THEIRS.index(b"</d:subject>") + len(b"</d:subject>")
    close = THEIRS.index(b"\n </rdf:RDF>")
    assert packet.startswith(THEIRS[:start] + THEIRS[end:close])
    assert packet.endswith(THEIRS[close:])
    assert packet.count(b"uuid:1&amp;2") == 2, "both blocks describe the same picture"
    gone = rewritten(packet, Keywords())
    assert bag(gone, SUBJECT) == ["Müller & Söhne", "cat"]
    assert bag(gone, PATHS) == []


def test_what_a_person_adds_to_our_sidecar_stays_and_no_block_is_left_over() -> None:
    packet = merged(None, CAT)
    assert packet is not None
    packet = packet.replace(b"<rdf:li>Cat</rdf:li>", b"<rdf:li>Holiday</rdf:li><rdf:li>Cat</rdf:li>", 1)
    for wanted in (DOG, CAT, DOG):
        packet = rewritten(packet, wanted)
    assert bag(packet, SUBJECT) == ["Holiday", "Animal", "Dog"]
    assert packet.count(b"<rdf:Description") == 1


def test_an_automatic_keyword_that_a_person_removed_does_not_come_back() -> None:
    packet = merged(None, CAT)
    assert packet is not None
    packet = without(packet, "Cat")
    assert bag(rewritten(packet, CAT), SUBJECT) == ["Animal"]
    # Its path goes with it, also after it was not found for a while.
    for wanted in (CAT, DOG, CAT):
        packet = rewritten(packet, wanted)
    assert bag(packet, SUBJECT) == ["Animal"]
    assert bag(packet, PATHS) == ["Animal"]
    assert merged(packet, CAT) is None


def test_a_keyword_that_a_person_had_before_is_never_taken_away() -> None:
    packet = rewritten(rewritten(THEIRS, CAT), DOG)
    assert bag(packet, SUBJECT) == ["Müller & Söhne", "cat", "Animal", "Dog"]


def test_the_order_of_a_photo_tool_is_no_difference() -> None:
    packet = merged(None, CAT)
    assert packet is not None
    cat, animal = b"\n     <rdf:li>Cat</rdf:li>", b"\n     <rdf:li>Animal</rdf:li>"
    assert merged(packet.replace(cat + animal, animal + cat), CAT) is None


def test_signs_of_xml_in_a_keyword_are_text() -> None:
    packet = merged(None, Keywords(("<&>\"'",), ("<&>\"'",)))
    assert packet is not None
    assert bag(packet, SUBJECT) == ["<&>\"'"]


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (b"", "no XML"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"<a/>", "no XMP"),
        (THEIRS[:-30], "no XML"),
        (THEIRS.decode().encode("utf-16"), "UTF-8"),
        (b'<?xml version="1.0" encoding="iso-8859-1"?>' + THEIRS[THEIRS.index(b"<x:") :], "iso-8859-1"),
        (b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', "document type"),
        (b'<!DOCTYPE l [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>' + THEIRS[THEIRS.index(b"<x:") :], "type"),
        (b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>', "no XMP"),
        (THEIRS.replace(b"<rdf:li>cat</rdf:li>", b"<rdf:li><b/></rdf:li>"), "more than text"),
    ],
)
def test_what_is_no_xmp_of_a_known_kind_is_left_alone(packet: bytes, why: str) -> None:
    with pytest.raises(NotXmp, match=why):
        merged(packet, CAT)


def label(name: str, *parents: str) -> dict[str, object]:
    return {"Name": name, "Confidence": 90.0, "Parents": [{"Name": one} for one in parents]}


def test_paths_lead_down_through_the_nearest_parents() -> None:
    """Rekognition names all ancestors of a label, in no order."""
    found = keywords(
        item(
            "a",
            labels=[
                label("Cat", "Pet", "Animal", "Mammal"),
                label("Mammal", "Animal"),
                label("Pet", "Animal"),
                label("Animal"),
                label("Black|White\n"),
                label(""),
            ],
        )
    )
    assert found.names == ("Cat", "Mammal", "Pet", "Animal", "Black/White")
    assert found.paths == (
        "Animal|Mammal|Cat",
        "Animal|Pet|Cat",
        "Animal|Mammal",
        "Animal|Pet",
        "Animal",
        "Black/White",
    )


def test_labels_that_are_each_other_s_parents_end_somewhere() -> None:
    many = [label(f"L{n}", *(f"L{m}" for m in range(12) if m != n)) for n in range(12)]
    found = keywords(item("a", labels=many))
    assert len(found.names) == 12
    assert len(found.paths) <= 12 * 8
