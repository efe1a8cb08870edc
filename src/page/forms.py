"""The one file of a form (`multipart/form-data`), as browsers and `curl -F` send it.

A form that has been received whole, within limits, needs no parser of streams.
"""

from email.message import Message
from email.parser import HeaderParser

from .uploads import UploadError

OVERHEAD = 1 << 16  # bytes of a form around its file
_HEADERS = 1 << 14  # bytes of a part's
_MOST_PARTS = 20
_END = b"\r\n\r\n"


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a form with files."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def file_in_form(body: bytes, content_type: str) -> tuple[bytes, str | None]:
    """The content and the name of the file in a form.

    Raises:
        UploadError: Not a form, damaged, or not exactly one file in it.
    """
    files = [(content, name) for content, name in _parts(body, content_type) if name]
    if len(files) != 1:
        raise UploadError(
            f"The form holds {len(files) or 'no'} files; send one, as curl -F image=@photo.jpg does"
        )
    return files[0]


def _parts(body: bytes, content_type: str) -> list[tuple[bytes, str | None]]:
    kind = Message()
    kind["content-type"] = content_type
    boundary = kind.get_boundary()
    if not boundary or len(boundary) > 70 or not boundary.isascii():
        raise UploadError("The form does not say in its Content-Type what separates its parts.")
    mark = b"--" + boundary.encode()
    if body.startswith(mark):
        at = len(mark)
    elif (at := body.find(b"\r\n" + mark)) >= 0:
        at += 2 + len(mark)
    else:
        raise UploadError("The form is damaged: its separator is not in it.")
    parts: list[tuple[bytes, str | None]] = []
    while body[at : at + 2] != b"--":
        start = body.find(_END, at, at + _HEADERS)
        stop = body.find(b"\r\n" + mark, start + len(_END)) if start >= 0 else -1
        if stop < 0 or len(parts) == _MOST_PARTS:
            raise UploadError("The form is damaged: a part of it has no end.")
        headers = HeaderParser().parsestr(body[at:start].decode(errors="replace").lstrip("\r\n"))
        parts.append((body[start + len(_END) : stop], headers.get_filename()))
        at = stop + 2 + len(mark)
    return parts
