"""Documents that list what the code has: nothing may be missing from them."""

import re

from conftest import ROOT


def text_of(path):
    return (ROOT / path).read_text()


def documented(section):
    """The names in the first column of a section's table."""
    body = text_of("docs/errors.md").split(f"\n## {section}", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `([A-Z_]+)`", body, re.MULTILINE))


def test_every_reason_of_a_refused_call_is_documented():
    reasons = set(re.findall(r'Self::\w+ => "([A-Z_]+)"', text_of("services/hub/src/error.rs")))
    assert len(reasons) > 20
    assert documented("Refused calls") == reasons


def test_every_refused_step_of_finance_is_documented():
    refusals = (ROOT / "settlement/src/finance").rglob("refusal.rs")
    codes = {code for path in refusals for code in re.findall(r'=> "([A-Z_]+)"', path.read_text())}
    for path in (ROOT / "services/hub/src").rglob("*.rs"):
        codes |= set(re.findall(r'Reason::Ledger \{\s*code: "([A-Z_]+)"', path.read_text()))
    assert len(codes) > 40
    assert documented("Refused steps of finance") == codes


def test_every_outcome_is_documented():
    codes = set(re.findall(r"^  RESULT_CODE_([A-Z_]+) = [1-9]", text_of("proto/hansa/v1/types.proto"), re.MULTILINE))
    assert len(codes) > 20
    assert documented("Refused messages") == codes


def test_every_refusal_of_a_bank_file_and_every_violation_of_an_order_is_documented():
    documents = text_of("docs/bank-files.md")
    for section, source in [("Reports", "src/error.rs"), ("Payment files", "src/order/violation.rs")]:
        codes = set(re.findall(r'=> "([A-Z_]+)"', text_of(f"services/bank/{source}")))
        assert len(codes) > 15
        body = documents.split(f"\n## {section}", 1)[1].split("\n## ", 1)[0]
        assert set(re.findall(r"^\| `([A-Z_]+)`", body, re.MULTILINE)) == codes


def test_the_columns_of_the_csv_statement_are_documented():
    source = text_of("services/bank/src/report/csv.rs").split("STATEMENT_COLUMNS: [&str; 14] = [", 1)[1].split("]", 1)[0]
    columns = re.findall(r'"(\w+)"', source)
    assert len(columns) == 14
    assert f"\n{','.join(columns)}\n" in text_of("docs/bank-files.md")


def test_every_option_of_the_configuration_file_is_in_the_default_one():
    options = text_of("services/hub/src/cli/serve.rs").split("pub struct Args {", 1)[1].split("\n}", 1)[0]
    keys, skipped = [], False
    for line in options.splitlines():
        if line.strip() == "#[serde(skip)]":
            skipped = True
        elif field := re.match(r"    (\w+): ", line):
            keys += [] if skipped else [field[1]]
            skipped = False
    assert len(keys) > 10
    shown = re.findall(r"^# (\w+) = ", text_of("deploy/hansa.default.toml"), re.MULTILINE)
    assert sorted(shown) == sorted(keys)


def test_links_between_documents_lead_somewhere():
    documents = [ROOT / "README.md", ROOT / "deploy/README.md", *sorted((ROOT / "docs").glob("*.md"))]
    assert len(documents) >= 5
    for document in documents:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
