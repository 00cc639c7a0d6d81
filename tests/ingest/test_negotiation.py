import pytest
from codetect_ingest.dicomweb.negotiation import DICOM, EXPLICIT, Accepted, accepted, choose_dicom, choose_document
from codetect_ingest.dicomweb.problems import NotAcceptable
from pydicom.uid import JPEG2000, JPEGLSLossless
from starlette.requests import Request

from tests.ingest.conftest import Hands
from tests.ingest.dicomweb import Web, bring, parts
from tests.ingest.test_importer import slices


def asked(*entries: str, query: str = "") -> list[Accepted]:
    headers = [(b"accept", entry.encode()) for entry in entries]
    return accepted(Request({"type": "http", "headers": headers, "query_string": query.encode()}))


def files(*parameters: str) -> str:
    return ", ".join(f'multipart/related; type="application/dicom"{one}' for one in parameters)


@pytest.mark.parametrize("blank", ["+", "%20", ""])
def test_parameters_of_a_type_in_a_query_are_read_with_and_without_blanks(blank: str) -> None:
    query = f'accept=multipart/related;{blank}type="application/dicom";{blank}transfer-syntax={EXPLICIT};{blank}q=0.5'
    assert asked("text/html", query=query) == [Accepted(DICOM, True, EXPLICIT, 0.5)]


@pytest.mark.parametrize("plus", ["+", "%2B", "%20"])
def test_a_plus_sign_in_a_query_may_have_become_a_blank(plus: str) -> None:
    assert choose_document(asked(query=f"accept=application/dicom{plus}json")).media_type == "application/dicom+json"
    quoted = choose_document(asked(query=f'accept=multipart/related; type="application/dicom{plus}xml"'))
    assert quoted.media_type == "application/dicom+xml"


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        (files(""), JPEG2000),
        (files("; transfer-syntax=*"), JPEG2000),
        (files(f"; transfer-syntax={EXPLICIT}"), EXPLICIT),
        (files(f"; transfer-syntax={EXPLICIT}", f"; transfer-syntax={JPEG2000}"), JPEG2000),
        (files(f"; transfer-syntax={EXPLICIT}", f"; transfer-syntax={JPEG2000}; q=0.5"), EXPLICIT),
        (files(f"; transfer-syntax={EXPLICIT}; q=0.4", f"; transfer-syntax={JPEG2000}; q=0.5"), JPEG2000),
        (files(f"; transfer-syntax={EXPLICIT}", "; transfer-syntax=*; q=0.5"), EXPLICIT),
        (files(f"; transfer-syntax={EXPLICIT}; q=0.5", "; transfer-syntax=*"), JPEG2000),
        (files(f"; transfer-syntax={JPEGLSLossless}", f"; transfer-syntax={EXPLICIT}; q=0.1"), EXPLICIT),
        (files(f"; transfer-syntax={JPEGLSLossless}"), None),
    ],
)
def test_of_several_transfer_syntaxes_the_dearest_is_given(accept: str, given: str | None) -> None:
    form = choose_dicom(asked(accept), 3)
    if given is None:
        with pytest.raises(NotAcceptable):
            form.syntax_for(JPEG2000)
    else:
        assert form.syntax_for(JPEG2000) == given


async def test_a_file_is_asked_for_by_query_as_by_header(web: Web, hands: Hands) -> None:
    await bring(web, hands, slices(1))
    (study,) = await web.found("/studies")
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={EXPLICIT}'
    ((kind, _),) = parts(await web.get(f"/studies/{study['0020000D']['Value'][0]}", params={"accept": accept}))
    assert kind == f"application/dicom; transfer-syntax={EXPLICIT}"
