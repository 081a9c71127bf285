"""Bank files against the schemas that ISO 20022 publishes, with a validator that is not ours (libxml2).

The schemas come from the packages of schemas.txt. The same schema in two of them must be the same, whoever packed it.
"""

import subprocess
from importlib.metadata import files
from pathlib import Path

import pytest
from conftest import ROOT
from lxml import etree

PACKAGES = ("camt053", "pain001", "sepaxml")
SAMPLES = ROOT / "services" / "bank" / "tests" / "samples"
# Those of the bank's own tests, and those that the hub makes of the golden example.
PAYMENT_FILES = sorted(
    path
    for folder in ("services/bank/tests/golden", "tests/fixtures/finance")
    for path in (ROOT / folder).glob("pain001-*.xml")
)


def schema_files(message):
    """Where the packages have the schema of a message (`camt.053.001.08`)."""
    found = [file.locate() for package in PACKAGES for file in files(package) if file.name == f"{message}.xsd"]
    return [Path(path) for path in found]


def schema(message):
    paths = schema_files(message)
    assert paths, f"no package has the schema of {message}"
    return etree.XMLSchema(etree.parse(paths[0]))


def message_of(document):
    return etree.QName(document.getroot()).namespace.rsplit(":", 1)[1]


def complaint(document):
    """What the published schema says against a document; None where it is valid."""
    published = schema(message_of(document))
    return None if published.validate(document) else str(published.error_log)


def samples():
    # The schema of this version is in none of the packages.
    return sorted(path for path in SAMPLES.glob("*.xml") if path.name != "pain002-02.xml")


def test_there_are_samples_of_every_message():
    assert {path.name.split("-")[0] for path in samples()} == {"camt052", "camt053", "camt054", "pain002"}


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_sample_is_valid_against_its_published_schema(path):
    assert complaint(etree.parse(path)) is None


@pytest.mark.parametrize("path", PAYMENT_FILES, ids=lambda path: path.name)
def test_payment_file_is_valid_against_the_published_schema(path):
    document = etree.parse(path)
    assert message_of(document) == "pain.001.001.09"
    assert complaint(document) is None


def test_the_golden_cycle_is_a_payment_file():
    assert "pain001-golden-cycle.xml" in {path.name for path in PAYMENT_FILES}


def test_payment_files_of_random_orders_are_valid():
    cargo = ["cargo", "run", "--quiet", "--locked", "-p", "hansa-bank", "--example", "random_orders", "--"]
    printed = subprocess.run([*cargo, "2026", "300"], cwd=ROOT, capture_output=True, check=True).stdout
    *payment_files, rest = printed.split(b"\0")
    assert (len(payment_files), rest) == (300, b"")
    published = schema("pain.001.001.09")
    for payment_file in payment_files:
        assert published.validate(etree.ElementTree(etree.fromstring(payment_file))), published.error_log


def test_a_document_that_breaks_its_schema_is_noticed():
    document = etree.parse(samples()[0])
    header = document.getroot()[0][0]
    header.remove(header[0])
    assert "MsgId" in complaint(document)


def test_two_packages_have_the_same_schema():
    canonical = {etree.tostring(etree.parse(p, etree.XMLParser(remove_comments=True, remove_blank_text=True)), method="c14n")
                 for p in schema_files("pain.001.001.09")}
    assert len(schema_files("pain.001.001.09")) == 2
    assert len(canonical) == 1
