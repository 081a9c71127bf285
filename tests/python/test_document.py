"""A merchant checks its statement, signature and sums, with a page of Python; so does the command line."""

import base64
import json
import subprocess

import hansa_document
import pytest
from cryptography.exceptions import InvalidSignature
from test_cycle import Books, verifier_key
from test_hub import hub  # noqa: F401 - a fixture


def test_a_statement_is_believed_by_its_signature_and_its_sums(hansa, hub):  # noqa: F811
    books = Books(hansa, hub)
    books.buy("one.csv", range(5))
    books.close(1)
    key = verifier_key(hub)
    arguments = ["statement", "--cycle", "1", "--out", ".", "--format"]
    for form in ("json", "csv", "xlsx", "pdf"):
        books.run(*arguments, form, *(["--with-items"] if form == "json" else []), key="till.pem", merchant="books & more")
    files = sorted(hub.folder.glob("statement-books---more-1.*[!n]")) + [hub.folder / "statement-books---more-1.json"]
    assert [file.suffix for file in files] == [".csv", ".pdf", ".xlsx", ".json"]

    def verify(file):
        command = [hansa, "verify", "document", file.name, "--verifier-key", key]
        return subprocess.run(command, cwd=hub.folder, capture_output=True, text=True, timeout=60)

    for file in files:
        signature = (hub.folder / f"{file.name}.signature.json").read_text()
        signed = hansa_document.open_document(file.read_bytes(), signature, key)
        assert (signed["name"], signed["cycle"], signed["merchant"]) == (file.name, 1, "books & more")
        assert verify(file).returncode == 0, file.name
    content, signature = files[-1].read_bytes(), (hub.folder / f"{files[-1].name}.signature.json").read_text()
    statement = hansa_document.check_statement(content, key)
    # Five times 19.99 at 1.5 points: 29 points each, at 0.008 reserve and 0.0015 fee.
    assert statement["net"]["micros"] == 5 * 29 * 9_500
    assert len(statement["drill_down"]) == 5

    # Other bytes, another manifest, another figure that somebody signed all the same.
    with pytest.raises(ValueError, match="not the bytes"):
        hansa_document.open_document(content + b" ", signature, key)
    envelope = json.loads(signature)
    payload = base64.b64decode(envelope["payload"]).replace(b'"cycle":1', b'"cycle":2')
    with pytest.raises(InvalidSignature):
        changed = json.dumps(envelope | {"payload": base64.b64encode(payload).decode()})
        hansa_document.open_document(content, changed, key)
    changed = json.loads(content)
    changed["statement"]["lines"][0]["amount"] = {"micros": 1_377_501, "decimal": "1.377501"}
    with pytest.raises(ValueError, match="the lines against the net"):
        hansa_document.check_statement(json.dumps(changed), key)
    files[-1].write_bytes(content.replace(b"1.377500", b"1.377501", 1))
    red = verify(files[-1])
    assert (red.returncode, "not the file that was signed" in red.stdout) == (6, True)
