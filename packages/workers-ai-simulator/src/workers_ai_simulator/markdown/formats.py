"""Types of the files that can be converted, without the libraries that read them, which take half a second to load."""

PDF = "application/pdf"
JPEG = "image/jpeg"
PNG = "image/png"
WEBP = "image/webp"
SVG = "image/svg+xml"
HTML = "text/html"
XML = "application/xml"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLSM = "application/vnd.ms-excel.sheet.macroenabled.12"
XLSB = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
XLS = "application/vnd.ms-excel"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
ODT = "application/vnd.oasis.opendocument.text"
CSV = "text/csv"
NUMBERS = "application/vnd.apple.numbers"

MIME_TYPES = {
    ".pdf": PDF,
    ".jpeg": JPEG,
    ".jpg": JPEG,
    ".png": PNG,
    ".webp": WEBP,
    ".svg": SVG,
    ".html": HTML,
    ".htm": HTML,
    ".xml": XML,
    ".xlsx": XLSX,
    ".xlsm": XLSM,
    ".xlsb": XLSB,
    ".xls": XLS,
    ".et": XLS,
    ".docx": DOCX,
    ".ods": ODS,
    ".odt": ODT,
    ".csv": CSV,
    ".numbers": NUMBERS,
}
"""https://developers.cloudflare.com/workers-ai/features/markdown-conversion/supported-formats/, in its order.

Plain text and Markdown are not among them.
"""

SUPPORTED = [{"extension": extension, "mimeType": mime_type} for extension, mime_type in MIME_TYPES.items()]
"""Formats that upstream's `supported()` lists, of which not all are simulated."""
