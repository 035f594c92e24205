"""XML from a host, read into plain elements without trusting it.

Entity declarations, which is what XML bombs are made of, are refused; so are documents that are too large or too deep.
A DOCTYPE line itself is normal: nvidia-smi writes one. Nothing is ever fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.parsers import expat

from msgspec import Struct, field

MAX_BYTES = 16 * 1024 * 1024  # 16 GPUs with all their clocks and processes are 2 MiB
MAX_DEPTH = 32  # nvidia-smi nests 7 deep
MAX_ELEMENTS = 100_000  # 16 GPUs with all their clocks are 20,000


class Element(Struct):
    """One element: `text` is its own text, without surrounding white space.

    `named` has the first child of each tag, so that no number of others makes finding it slow. `read` tells that
    somebody asked for the text: what is not understood of a document can be found by it.
    """

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    named: dict[str, Element] = field(default_factory=dict)
    text: str = ""
    read: bool = False

    def find(self, *path: str) -> Element | None:
        """Return the first element at a path below this one."""
        here: Element | None = self
        for tag in path:
            here = here.named.get(tag) if here else None
        return here

    def find_all(self, tag: str) -> Iterator[Element]:
        """Yield the direct children of one tag."""
        return (child for child in self.children if child.tag == tag)

    def text_at(self, *path: str) -> str | None:
        """Return the text at a path; None when there is no such element, or no text in it."""
        found = self.find(*path)
        if found is None:
            return None
        found.read = True
        return found.text or None

    def unread(self, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """Yield the paths of elements below this one that hold a text which nobody has asked for."""
        for child in self.children:
            path = (*above, child.tag)
            if child.children:
                yield from child.unread(path)
            elif child.text and not child.read:
                yield path


def parse_xml(document: bytes) -> Element:
    """Parse one document; bytes that are not UTF-8 become U+FFFD, whatever encoding it claims.

    Raises:
        ValueError: it is not well-formed, too large, too deep, or declares entities.
    """
    if len(document) > MAX_BYTES:
        raise ValueError(f"the XML is larger than {MAX_BYTES // 1024 // 1024} MiB")
    reader = _Reader()
    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.EntityDeclHandler = reader.refuse_entity
    try:
        parser.Parse(document.decode("utf-8", "replace").encode("utf-8"), True)
    except expat.ExpatError as error:
        raise ValueError(f"not well-formed XML: {error}") from error
    assert reader.root is not None  # expat refuses a document without an element
    return reader.root


class _Reader:
    """Builds elements out of expat's calls."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= MAX_DEPTH or self._count > MAX_ELEMENTS:
            raise ValueError("the XML is nested too deeply, or has too many elements")
        element = Element(tag, attributes)
        if self._open:
            self._open[-1].children.append(element)
            self._open[-1].named.setdefault(tag, element)
        else:
            self.root = element
        self._open.append(element)
        self._texts.append([])

    def end(self, _tag: str) -> None:
        element, texts = self._open.pop(), self._texts.pop()
        if texts:
            element.text = "".join(texts).strip()

    def characters(self, text: str) -> None:
        if self._texts[-1] or not text.isspace():  # indentation is no text
            self._texts[-1].append(text)

    def refuse_entity(self, name: str, *_details: object) -> None:
        raise ValueError(f"the XML declares an entity ('{name[:40]}'), which nvidia-smi never does")
