"""Hostile keys of objects, and as what each comes back."""

from __future__ import annotations

from dataclasses import dataclass

_LONG = "x" * 1024
_CONTROLS = "".join(map(chr, range(1, 32)))


@dataclass(frozen=True)
class KeyRow:
    """stored: the key under which the picture is then; None: nothing may have this key."""

    id: str
    key: str
    stored: str | None


def _same(name: str, key: str) -> KeyRow:
    return KeyRow(f"key-{name}", key, key)


def _refused(name: str, key: str) -> KeyRow:
    return KeyRow(f"key-{name}", key, None)


KEYS = (
    # What URLs, forms and shells give a meaning to.
    _same("space", "a b.jpg"),
    _same("spaces-at-the-ends", "  a.jpg  "),
    _same("plus", "a+b.jpg"),
    _same("percent", "100%.jpg"),
    _same("percent-encoded-once", "%41%2Fb%20.jpg"),
    _same("percent-encoded-twice", "%252e%252e%252f.jpg"),
    _same("question-hash-ampersand", "a?key=b&c#d.jpg"),
    _same("commas-and-semicolons", "a,b;c=d.jpg"),
    _same("quotes", "'a' \"b\" `c`.jpg"),
    _same("shell", "$(reboot); rm -rf ~ | x > y && $HOME.jpg"),
    _same("url", "https://user:pass@example.org:99/x.jpg"),
    _same("markup", "<img src=x onerror=alert(1)>.jpg"),
    _same("rich-markup", "[red]a[/red][link=http://x]b[/link].jpg"),
    _same("format", "{detail} {0} %s %n %(key)s.jpg"),
    _same("json", '{"objectKey": "b", "status": null}'),
    # What paths give a meaning to.
    _same("leading-slash", "/a.jpg"),
    _same("only-a-slash", "/"),
    _same("double-slash", "a//b.jpg"),
    _same("like-a-folder", "folder/"),
    _same("dot", "."),
    _same("dot-dot", ".."),
    _same("up-and-away", "../../../../etc/passwd"),
    _same("up-in-the-middle", "a/../b/./c.jpg"),
    _same("home", "~/a.jpg"),
    _same("windows", "C:\\Users\\..\\a.jpg"),
    _same("like-a-stored-result", "results/a.jpg.json"),
    _same("like-a-hashed-name", "~" + "0" * 64),
    # What the command line gives a meaning to.
    _same("dash", "-"),
    _same("option", "--json"),
    _same("pattern", "*.jpg [a-z] ?"),
    _same("none", "None"),
    _same("one-letter", "a"),
    # What terminals and texts give a meaning to.
    _same("newline", "a\nError: all is lost\n.jpg"),
    _same("header", "a\r\nX-Injected: 1\r\n\r\n.jpg"),
    _same("tab-and-backspace", "a\t\b\b\bb.jpg"),
    _same("color", "\x1b[31mred\x1b[0m.jpg"),
    _same("clear-screen", "\x1b[2J\x1b[H\x1bc.jpg"),
    _same("title", "\x1b]0;owned\x07.jpg"),
    _same("link", "\x1b]8;;https://example.org\x1b\\click\x1b]8;;\x1b\\.jpg"),
    _same("clipboard", "\x1b]52;c;cm0gLXJmIH4=\x07.jpg"),
    _same("c1", "\u009b31m\u0085\u0090q\u009c.jpg"),
    _same("delete", "a\x7fb.jpg"),
    _same("every-control", f"{_CONTROLS}.jpg"),
    _same("direction", "photo\u202egpj.exe"),
    _same("isolates", "\u2066a\u2067b\u2068c\u2069\u061c.jpg"),
    _same("zero-width", "a\u200bb\u200c\u200d\u2060c.jpg"),
    _same("byte-order-mark", "\ufeffa.jpg"),
    _same("line-separators", "a\u2028b\u2029c.jpg"),
    _same("tags", "a\U000e0041\U000e0042.jpg"),
    _same("no-characters", "a\ufffe\uffff.jpg"),
    _same("replacement", "a\ufffd.jpg"),
    _same("private-use", "\ue000\U0010fffd.jpg"),
    # Scripts and forms.
    _same("family", "\U0001f468\u200d\U0001f469\u200d\U0001f467.jpg"),
    _same("right-to-left", "שלום/صورة.jpg"),
    _same("no-case", "İıßſ.jpg"),
    _same("composed", "caf\u00e9.jpg"),
    KeyRow("key-decomposed", "cafe\u0301-2.jpg", "caf\u00e9-2.jpg"),
    KeyRow("key-hangul-decomposed", "\u1112\u1161\u11ab.jpg", "\ud55c.jpg"),
    _same("marks", "z" + "\u0336" * 40 + ".jpg"),
    # Lengths.
    _same("1024-bytes", _LONG),
    _same("1024-bytes-of-four", "\U0001f600" * 256),
    _same("1024-bytes-of-slashes", "/" * 1024),
    _refused("1025-bytes", _LONG + "x"),
    _refused("1026-bytes-of-three", "\u20ac" * 342),
    _refused("a-megabyte", "x" * 100_000),
    _refused("empty", ""),
    _refused("undecodable", "a\udcff\udcfe.jpg"),
    _refused("half-a-character", "a\ud83d.jpg"),
)
