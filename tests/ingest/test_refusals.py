from codetect_ingest.dicom.refusals import Refusal

from tests.ingest.samples import ROOT


def test_every_code_has_a_sentence_of_its_own() -> None:
    sentences = [code.sentence for code in Refusal]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence.endswith(".") and len(sentence) > 15 for sentence in sentences)


def test_the_documentation_mirrors_the_catalogue() -> None:
    rows = [f"| `{code.value}` | {code.sentence} |" for code in Refusal]
    assert "\n".join(rows) in (ROOT / "docs/refusals.md").read_text()
