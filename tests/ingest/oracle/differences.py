"""Where the two differ, and why ours does: what docs/dicomweb.md lists under "Compared with Orthanc"."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """What CoDetect does, what Orthanc does, and the reason."""

    ours: str
    theirs: str
    why: str


DIFFERENCES = {
    # searching
    "letter case": Difference("counts, but in names", "never counts", "PS3.4 C.2.2.2.1"),
    "accents": Difference("don't count in names", "count", "PS3.4 C.2.2.2.1 leaves it open; people leave them out"),
    "writings": Difference(
        "each writing of a name matches by itself", "the value as a whole", "PS3.4 C.2.2.2.1 leaves it open"
    ),
    "percent-encoding": Difference("is decoded", "is taken literally in queries", "RFC 3986"),
    "nonsense": Difference(
        "400: values, numbers, UIDs, attributes that are none, one given twice",
        "ignored, or nothing found; 500 for a negative `limit`",
        "who asks should know",
    ),
    "times": Difference(
        "match as far as they go: `101530` finds 101530.5, `080000` finds 0800", "match as texts", "PS3.5 6.2, TM"
    ),
    "ranges": Difference(
        "never find what has no value", "one without a beginning finds what has an empty one", "PS3.4 C.2.2.2.5"
    ),
    "star": Difference(
        "`*` alone finds what has no value, too", "finds what has one", "PS3.4 C.2.2.2.4: any sequence, even none"
    ),
    "lists": Difference("with `,` or `\\`", "with `,`", "PS3.18 8.3.4.1"),
    "lower levels": Difference(
        "attributes of series and instances are ignored in searches for studies, with a `Warning`",
        "one instance's are looked at, or nothing is found",
        "they aren't those of a study",
    ),
    "not kept": Difference(
        "attributes that de-identification removes can't be searched by: ignored, with a `Warning`",
        "looked up in the files",
        "privacy",
    ),
    "ModalitiesInStudy": Difference("also for series and instances", "for studies", "PS3.18 10.6.1.2"),
    "limit=0": Difference("gives nothing", "gives everything", "PS3.18 8.3.4.4: that many at most"),
    "fuzzymatching": Difference("words of names, in any order", "ignored", "PS3.18 8.3.4.2"),
    "address": Difference(
        "a key that contradicts the address finds nothing", "the key is ignored", "both have to match"
    ),
    "numbers": Difference("`02` is 2", "texts", "PS3.5 6.2, IS"),
    "returned": Difference(
        "all attributes of Tables 10.6.3-3 to -5, empty where nothing is known; with `all`, whatever is kept",
        "those that have a value, of a shorter list",
        "PS3.18 10.6.3.3",
    ),
    "parents": Difference(
        "what is above the address is left out", "is told again", "PS3.18 10.6.3.3: if the address doesn't name it"
    ),
    # retrieving
    "Enhanced CT": Difference("each frame is a CT image of its own", "one file", "analysed slice by slice"),
    "removed": Difference(
        "private attributes, comments and all else that the keep list leaves out are gone from images",
        "kept",
        "privacy",
    ),
    "completed": Difference(
        "attributes of type 2 that a file leaves out are there, empty; RescaleType says HU", "as they came", "PS3.3 A.3"
    ),
    "UTF-8": Difference("texts of images are in UTF-8 (`ISO_IR 192`)", "in the file's own", "one for all"),
    "as stored": Difference(
        "files and frames come as they are stored, unless another transfer syntax is asked for",
        "decoded to Explicit VR Little Endian",
        "speed; PS3.18 8.7.3.5 has it like Orthanc",
    ),
    "other syntaxes": Difference(
        "the stored one or Explicit VR Little Endian", "several others are written", "images are never compressed anew"
    ),
    "JPEG 2000": Difference(
        "is decoded", "isn't (500; 400 for pictures), without a plugin of its own", "scanners send it"
    ),
    "codestreams": Difference("comments in JPEG 2000 streams are removed", "kept", "privacy; pixels are the same"),
    "one by itself": Difference(
        "`application/dicom`, `application/octet-stream` give a single file or frame", "400", "PS3.18 10.4.4"
    ),
    "several media types": Difference("may be accepted for files, with `q`", "400", "RFC 9110"),
    "406": Difference("406 for media types that can't be had", "400", "RFC 9110"),
    "multipart/related": Difference(
        "without `type` gives what there is, for metadata XML; a transfer syntax for XML is ignored",
        "for metadata 400",
        "only one type fits",
    ),
    "no such frame": Difference("404", "400", "PS3.18 10.4.3"),
    "no UID": Difference("400 for what can't be a UID", "404; 409 when storing", "who asks should know"),
    "bulkdata": Difference(
        "`/bulkdata/{tag}`, for images and what metadata gives an address of",
        "`/bulk/{tag}`, for every attribute",
        "PS3.18 10.4.1.1.5; texts are in the metadata",
    ),
    "AvailableTransferSyntaxUID": Difference("in metadata", "not there", "says what may be asked for"),
    "compressed metadata": Difference(
        "has an address of PixelData, as all have",
        "without PixelData where the image is compressed",
        "PS3.18 10.4.1.1.2",
    ),
    "thumbnails": Difference("given", "404", "PS3.18 10.4.1.1.4"),
    "linear-exact": Difference("as PS3.3 C.11.2.1.3.2 has it", "half of the range lower", "PS3.3"),
    "viewport": Difference("a picture is as large as fits into it", "is filled up with black", "PS3.18 8.3.5.1.3"),
    # storing
    "twice": Difference(
        "the second of one instance in one request fails (`0111`)", "is stored", "which of them counts is no guess"
    ),
    "partly": Difference("202 where some are stored, 409 where none is", "400 or 409", "PS3.18 10.5.3.1"),
    "no DICOM": Difference("stands in OtherFailuresSequence", "isn't told", "PS3.18 Table I.1-1"),
    "reasons": Difference("`A901` for another study, `0122` for another class", "`0110`, `C000`", "PS3.18 Table I.2-2"),
    "empty request": Difference("400", "200", "nothing was stored"),
    "cut short": Difference("400 for a body without its end", "200, without the last part", "it was lost on the way"),
    "single": Difference("`application/dicom`, and multipart without `type`, are taken", "415", "PS3.18 8.6.1.2"),
    "empty sequences": Difference("are left out", "are given, and SpecificCharacterSet", "PS3.18 Table I.1-1"),
}
