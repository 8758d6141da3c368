"""Files of every kind, as large as the Worker accepts, and archives that unpack to more."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

from openpyxl import Workbook

MEGABYTE = 1_000_000
SENTENCE = "Sentence number {} says that a bridge carries what is heavy. "
LINE_CHARACTERS = 90
PAGE_LINES = 60

DOCX_PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'wordprocessingml.document.main+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
    'officeDocument" Target="word/document.xml"/></Relationships>',
}
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def prose(size: int) -> str:
    """Sentences, no two alike, of `size` characters in paragraphs of ten."""
    return "".join(_sentences(size))[:size]


def _sentences(size: int) -> Iterator[str]:
    number = 0
    while size > 0:
        sentence = SENTENCE.format(number) + ("\n\n" if number % 10 == 9 else "")
        yield sentence
        size -= len(sentence)
        number += 1


def docx(size: int, *, repeated: bool = False) -> bytes:
    """A text document with `size` bytes of text; if repeated, of one paragraph over and over, and so a small file."""
    text = prose(1_000) if repeated else prose(size)
    paragraphs = text.split("\n\n") * (size // len(text))
    body = "".join(f"<w:p><w:r><w:t>{each}</w:t></w:r></w:p>" for each in paragraphs)
    parts = {**DOCX_PARTS, "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()


def xlsx(size: int, *, columns: int = 20) -> bytes:
    """A workbook whose cells hold `size` bytes of text."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Bridges")
    cells = prose(size).split(". ")
    for start in range(0, len(cells), columns):
        sheet.append([cell.strip() for cell in cells[start : start + columns]])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def pdf(size: int) -> bytes:
    """A PDF with `size` bytes of text on compressed pages."""
    text = prose(size).replace("\n\n", "")
    lines = [text[at : at + LINE_CHARACTERS] for at in range(0, len(text), LINE_CHARACTERS)]
    pages = [lines[at : at + PAGE_LINES] for at in range(0, len(lines), PAGE_LINES)]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, page in enumerate(pages):
        resources = "/Resources << /Font << /F1 3 0 R >> >> /MediaBox [0 0 600 800]"
        objects.append(f"<< /Type /Page /Parent 2 0 R {resources} /Contents {5 + 2 * number} 0 R >>".encode())
        shown = "".join(f"({line}) Tj T*\n" for line in page)
        content = zlib.compress(f"BT /F1 10 Tf 12 TL 20 780 Td\n{shown}ET".encode())
        head = f"<< /Length {len(content)} /Filter /FlateDecode >>\nstream\n".encode()
        objects.append(head + content + b"\nendstream")
    return _pdf_file(objects)


def _pdf_file(objects: list[bytes]) -> bytes:
    file = io.BytesIO(b"%PDF-1.7\n")
    file.seek(0, io.SEEK_END)
    places: list[int] = []
    for number, content in enumerate(objects, 1):
        places.append(file.tell())
        file.write(b"%d 0 obj\n%b\nendobj\n" % (number, content))
    table = file.tell()
    file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    file.writelines(b"%010d 00000 n \n" % place for place in places)
    file.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table))
    return file.getvalue()


def html(size: int) -> bytes:
    """A page of paragraphs."""
    return (
        "<html><body>" + "".join(f"<p>{each}</p>" for each in prose(size).split("\n\n")) + "</body></html>"
    ).encode()


def wav(size: int) -> bytes:
    """A recording of noise with 16,000 samples a second, of `size` bytes."""
    data = (bytes(range(256)) * (size // 256 + 1))[: size - 44]
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", size - 8, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    return head + struct.pack("<4sI", b"data", len(data)) + data


def png(side: int) -> bytes:
    """A picture of this width and height that is not compressed, three bytes each."""
    row = b"\0" + (bytes(range(256)) * (3 * side // 256 + 1))[: 3 * side]
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * side, 0)),
        (b"IEND", b""),
    ]
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
