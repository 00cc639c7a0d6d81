"""The Native DICOM Model (PS3.19 A.1), made of DICOM JSON."""

from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from pydicom.datadict import keyword_for_tag

from codetect_ingest.dicom.identity import Attributes

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
NAME_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")


def to_xml(attributes: Attributes) -> bytes:
    """Return a data set as a document."""
    root = Element("NativeDicomModel", {"xmlns": NAMESPACE, "xml:space": "preserve"})
    _fill(root, attributes)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _fill(parent: Element, attributes: Attributes) -> None:
    for tag, attribute in sorted(attributes.items()):
        named = {"tag": tag, "vr": attribute["vr"]}
        if keyword := keyword_for_tag(int(tag, 16)):
            named["keyword"] = keyword
        node = SubElement(parent, "DicomAttribute", named)
        for number, value in enumerate(attribute.get("Value", []), 1):
            _value(node, attribute["vr"], number, value)
        if "BulkDataURI" in attribute:
            SubElement(node, "BulkData", {"uri": attribute["BulkDataURI"]})
        if "InlineBinary" in attribute:
            SubElement(node, "InlineBinary").text = attribute["InlineBinary"]


def _value(node: Element, vr: str, number: int, value: Any) -> None:
    numbered = {"number": str(number)}
    if vr == "SQ":
        _fill(SubElement(node, "Item", numbered), value or {})
    elif vr == "PN":
        person = SubElement(node, "PersonName", numbered)
        for writing, text in (value or {}).items():
            group = SubElement(person, writing)
            for part, content in zip(NAME_PARTS, _clean(text).split("^"), strict=False):
                if content:
                    SubElement(group, part).text = content
    elif value is not None:
        SubElement(node, "Value", numbered).text = _clean(str(value))


def _clean(text: str) -> str:
    """Drop what XML 1.0 has no way to say."""
    return "".join(c for c in text if c >= " " or c in "\t\n\r")
