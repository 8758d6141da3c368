"""The content type of forms."""

import pytest

from aiworker.errors import ApiError
from aiworker.http.content_type import MAX_LENGTH, form_type, read_boundary

FORM = "multipart/form-data"


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (f"{FORM}; boundary=XbX", "XbX"),
        (f"{FORM};boundary=XbX", "XbX"),
        (" Multipart/Form-Data \t;; BOUNDARY=XbX ; ", "XbX"),
        (f'{FORM}; boundary="XbX"', "XbX"),
        (f'{FORM}; boundary="X\\b\\X"', "XbX"),
        (f'{FORM}; boundary="----=_Part 1:2"', "----=_Part 1:2"),
        (f'{FORM}; foo="boundary=zzz"; boundary=XbX', "XbX"),
        (f'{FORM}; foo="\\"; boundary=zzz"; boundary=XbX', "XbX"),
        (f'{FORM}; foo="; boundary=zzz;"; charset=utf-8; boundary=XbX; bar=boundary', "XbX"),
        (f"{FORM}; xboundary=zzz; boundary*=zzz; boundary=XbX", "XbX"),
        (f"{FORM}; boundary={'a' * 70}", "a" * 70),
    ],
)
def test_a_boundary_is_read_by_the_grammar(content_type: str, boundary: str) -> None:
    assert read_boundary(content_type) == boundary
    assert read_boundary(form_type(boundary)) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        FORM,
        f"{FORM}; boundary",
        f"{FORM}; boundary=",
        f'{FORM}; boundary=""',
        f'{FORM}; boundary=" "',
        f'{FORM}; boundary="XbX',
        f'{FORM}; boundary="XbX\\"',
        f'{FORM}; boundary="X\\"bX"',
        f'{FORM}; boundary="X\\\\bX"',
        f"{FORM}; boundary='Xé'",
        f"{FORM}; boundary =zzz; boundary=XbX",
        f"{FORM}; boundary= XbX",
        f"{FORM}; boundary=X bX",
        f"{FORM} boundary=zzz; boundary=XbX",
        f"{FORM}; boundary=XbX; boundary=XbX",
        f"{FORM}; boundary=zzz; Boundary=XbX",
        f"{FORM}; boundary=XbX, {FORM}; boundary=zzz",
        f"{FORM}; boundary=XbX; {'a' * MAX_LENGTH}=b",
        f"{FORM}; boundary={'a' * 71}",
    ],
)
def test_a_header_without_exactly_one_plain_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_boundary(content_type)
    assert caught.value.type == "invalid_request"
    assert len(caught.value.message) < 200
