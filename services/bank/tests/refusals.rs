//! A wrong, truncated, duplicated or foreign file yields nothing and says why.

use hansa_bank::{FileError, Limits, read};
use proptest::prelude::*;

fn sample(name: &str) -> String {
    let bytes = std::fs::read(format!(
        "{}/tests/samples/{name}",
        env!("CARGO_MANIFEST_DIR")
    ));
    String::from_utf8(bytes.expect(name)).expect("UTF-8")
}

fn refused(bytes: &[u8]) -> FileError {
    read(bytes, &Limits::default()).expect_err("the file must be refused")
}

/// The sample with one change, and the refusal that it gets.
fn check(name: &str, from: &str, to: &str, expected: &str) {
    let text = sample(name);
    assert!(text.contains(from), "{name} has {from}");
    let error = refused(text.replacen(from, to, 1).as_bytes());
    assert_eq!(error.to_string(), expected, "{name}: {from} -> {to}");
}

#[test]
fn the_refusal_names_line_element_and_reason() {
    let statement = "camt053-02.xml";
    for (from, to, expected) in [
        (
            "<Amt Ccy=\"EUR\">1.62</Amt>",
            "<Amt Ccy=\"EUR\">1.625</Amt>",
            "line 127, BkToCstmrStmt/Stmt/Ntry/Amt: \"1.625\": more decimals than the currency has",
        ),
        (
            "<Amt Ccy=\"EUR\">1.62</Amt>",
            "<Amt Ccy=\"EUR\">1,62</Amt>",
            "line 127, BkToCstmrStmt/Stmt/Ntry/Amt: \"1,62\": not a decimal number (digits, a point, digits)",
        ),
        (
            "<Amt Ccy=\"EUR\">1.62</Amt>",
            "<Amt Ccy=\"USD\">1.62</Amt>",
            "line 127, BkToCstmrStmt/Stmt/Ntry/Amt: the currency is USD, the account's is EUR",
        ),
        (
            "<Amt Ccy=\"EUR\">1.62</Amt>",
            "<Amt>1.62</Amt>",
            "line 127, BkToCstmrStmt/Stmt/Ntry/Amt: \"\" is not a currency (ISO 4217, three capital letters)",
        ),
        (
            "<Amt Ccy=\"EUR\">1.62</Amt>",
            "<Amt Ccy=\"EUR\">1.61</Amt>",
            "line 35, BkToCstmrStmt/Stmt/Bal: opening 100.00 + entries -0.97 = 99.03, but closing is 99.02: a difference of -0.01",
        ),
        (
            "<CdtDbtInd>DBIT</CdtDbtInd>",
            "<CdtDbtInd>DEBIT</CdtDbtInd>",
            "line 62, BkToCstmrStmt/Stmt/Ntry/CdtDbtInd: \"DEBIT\" is not CRDT or DBIT",
        ),
        (
            "<CdtDbtInd>DBIT</CdtDbtInd>",
            "",
            "line 59, BkToCstmrStmt/Stmt/Ntry/CdtDbtInd: missing",
        ),
        (
            "<CdtDbtInd>DBIT</CdtDbtInd>",
            "<CdtDbtInd>DBIT</CdtDbtInd><CdtDbtInd>CRDT</CdtDbtInd>",
            "line 62, BkToCstmrStmt/Stmt/Ntry/CdtDbtInd: there more than once",
        ),
        (
            "<Sts>BOOK</Sts>",
            "<Sts>DONE</Sts>",
            "line 63, BkToCstmrStmt/Stmt/Ntry/Sts: \"DONE\" is not BOOK, PDNG, INFO or FUTR",
        ),
        (
            "<Dt>2026-04-03</Dt>\n        </BookgDt>",
            "<Dt>03.04.2026</Dt>\n        </BookgDt>",
            "line 65, BkToCstmrStmt/Stmt/Ntry/BookgDt/Dt: \"03.04.2026\" is not a date (2026-03-31)",
        ),
        (
            "<Cd>PRCD</Cd>",
            "<Cd>CLBD</Cd>",
            "line 35, BkToCstmrStmt/Stmt/Bal: there more than once",
        ),
        (
            "<Cd>PRCD</Cd>",
            "<Cd>FWAV</Cd>",
            "line 8, BkToCstmrStmt/Stmt/Bal OPBD: missing",
        ),
        (
            "<MsgId>STMT-20260403-1</MsgId>",
            "<MsgId> </MsgId>",
            "line 5, BkToCstmrStmt/GrpHdr/MsgId: \"\" is not a value",
        ),
        (
            "camt.053.001.02",
            "camt.054.001.02",
            "line 3, BkToCstmrStmt: the namespace says camt.054.001.02, the body is BkToCstmrStmt",
        ),
    ] {
        check(statement, from, to, expected);
    }
}

#[test]
fn what_a_statement_says_about_itself_must_hold() {
    check(
        "camt053-08-prefixed.xml",
        "<ns2:NbOfNtries>2<",
        "<ns2:NbOfNtries>4<",
        "line 47, BkToCstmrStmt/Stmt/TxsSummry/TtlNtries: 4 declared, 3 found",
    );
    check(
        "camt053-08-prefixed.xml",
        "<ns2:Sum>3.44<",
        "<ns2:Sum>3.45<",
        "line 53, BkToCstmrStmt/Stmt/TxsSummry/TtlCdtNtries/Sum: a sum of 3.45 declared, 3.44 found",
    );
    check(
        "camt053-08-prefixed.xml",
        "<ns2:Amt Ccy=\"EUR\">1.62<",
        "<ns2:Amt Ccy=\"EUR\">1.63<",
        "line 56, BkToCstmrStmt/Stmt/Ntry: the parts sum to -5.07, the entry is -5.06",
    );
    // A notification with the entry twice: no balances, but a count.
    let text = sample("camt054-04-batch.xml");
    let (from, to) = (
        text.find("<c:Ntry>").unwrap(),
        text.find("</c:Ntfctn>").unwrap(),
    );
    let twice = format!("{}{}{}", &text[..to], &text[from..to], &text[to..]);
    assert_eq!(
        refused(twice.as_bytes()).to_string(),
        "line 9, BkToCstmrDbtCdtNtfctn/Ntfctn/TxsSummry/TtlDbtNtries: 1 declared, 2 found"
    );
}

#[test]
fn what_is_there_twice_is_refused() {
    // An entry of a notification with the bank's reference.
    let text = sample("camt054-08-return.xml");
    let (from, to) = (
        text.find("<Ntry>").unwrap(),
        text.find("    </Ntfctn>").unwrap(),
    );
    let twice = format!("{}{}{}", &text[..to], &text[from..to], &text[to..]);
    assert_eq!(
        refused(twice.as_bytes()).to_string(),
        "line 30, BkToCstmrDbtCdtNtfctn/Ntfctn/Ntry: there more than once"
    );
    // With another reference it is another booking.
    let two = twice.replacen("B-3001", "B-3000", 1);
    assert!(read(two.as_bytes(), &Limits::default()).is_ok());
    // A whole statement.
    let text = sample("camt053-02.xml");
    let (from, to) = (
        text.find("<Stmt>").unwrap(),
        text.find("  </BkToCstmrStmt>").unwrap(),
    );
    let twice = format!("{}{}{}", &text[..to], &text[from..to], &text[to..]);
    assert_eq!(
        refused(twice.as_bytes()).to_string(),
        "line 215, BkToCstmrStmt/Stmt: there more than once"
    );
    check(
        "camt053-02.xml",
        "<Acct>",
        "<CpyDplctInd>AGAIN</CpyDplctInd><Acct>",
        "line 17, BkToCstmrStmt/Stmt/CpyDplctInd: \"AGAIN\" is not COPY, DUPL or CODU",
    );
}

#[test]
fn a_statement_with_an_entry_twice_does_not_balance() {
    let text = sample("camt053-02.xml");
    let from = text.find("<Ntry>").unwrap();
    let to = text.find("</Ntry>").unwrap() + "</Ntry>".len();
    let twice = format!("{}{}{}", &text[..to], &text[from..to], &text[to..]);
    assert_eq!(
        refused(twice.as_bytes()).to_string(),
        "line 35, BkToCstmrStmt/Stmt/Bal: opening 100.00 + entries -4.42 = 95.58, but closing is 99.02: a difference of 3.44"
    );
}

#[test]
fn foreign_messages_are_named() {
    for (text, expected) in [
        ("", "the file is empty"),
        (" \n", "the file is empty"),
        (
            "hello",
            "neither an ISO 20022 document (pain.002, camt.052, camt.053, camt.054) nor a statement in the documented CSV columns",
        ),
        ("<html/>", "line 1, html: the root is html, not Document"),
        (
            "<Document xmlns='urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08'><FIToFICstmrCdtTrf/></Document>",
            "line 1, FIToFICstmrCdtTrf: this is pacs.008.001.08; pain.002, camt.052, camt.053 and camt.054 are read",
        ),
        (
            "<Document><CstmrCdtTrfInitn/></Document>",
            "line 1, CstmrCdtTrfInitn: this is CstmrCdtTrfInitn; pain.002, camt.052, camt.053 and camt.054 are read",
        ),
        ("<Document/>", "line 1, Document: missing"),
        (
            "<Document><BkToCstmrStmt/><BkToCstmrStmt/></Document>",
            "line 1, BkToCstmrStmt: there more than once",
        ),
        (
            "<Document><BkToCstmrStmt><GrpHdr><MsgId>1</MsgId></GrpHdr></BkToCstmrStmt></Document>",
            "line 1, BkToCstmrStmt/Stmt: missing",
        ),
    ] {
        assert_eq!(refused(text.as_bytes()).to_string(), expected, "{text}");
    }
    check(
        "pain002-03.xml",
        "pain.001.001.09",
        "pain.008.001.08",
        "line 7, CstmrPmtStsRpt/OrgnlGrpInfAndSts/OrgnlMsgNmId: a status report on pain.008.001.08; only reports on pain.001 are taken",
    );
    check(
        "pain002-12-group.xml",
        "<p:GrpSts>RJCT</p:GrpSts>",
        "",
        "line 2, CstmrPmtStsRpt: the report has no status at any level",
    );
    check(
        "pain002-02.xml",
        "<OrgnlInstrId>2026-03-A</OrgnlInstrId>",
        "",
        "line 5, pain.002.001.02/TxInfAndSts/OrgnlEndToEndId: missing",
    );
}

#[test]
fn nothing_is_fetched_or_expanded() {
    let laughs = r#"<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]><Document>&lol2;</Document>"#;
    assert_eq!(
        refused(laughs.as_bytes()).to_string(),
        "line 1: a document type declaration (DOCTYPE) is not accepted"
    );
    let external = "<?xml version='1.0'?>\n<!DOCTYPE d SYSTEM 'file:///etc/passwd'><Document/>";
    assert_eq!(refused(external.as_bytes()).problem.code(), "DOCTYPE");
    let entity = "<Document>\n<BkToCstmrStmt>&xxe;</BkToCstmrStmt></Document>";
    assert_eq!(
        refused(entity.as_bytes()).to_string(),
        "line 2: the entity &xxe; is not accepted"
    );
    assert_eq!(
        refused(b"<Document>&#0;</Document>").problem.code(),
        "ENTITY"
    );
}

#[test]
fn xml_that_is_not_well_formed_is_refused() {
    for text in [
        "<Document><a></b></Document>",
        "<Document></Document><Document/>",
        "<Document/>text",
        "<Document a='1' a='2'/>",
        "<Document a=1/>",
        "<x:Document/>",
        "<Document><1/></Document>",
        "<Document>\u{1}</Document>",
        "<Document><!-- -- --></Document>",
        "<?xml version='1.1'?><Document/>",
        "<Document/><?xml version='1.0'?>",
        "</Document>",
        "<Document>a & b</Document>",
    ] {
        let error = refused(text.as_bytes());
        assert_eq!(error.problem.code(), "NOT_WELL_FORMED", "{text}: {error}");
    }
    let foreign = "<Document xmlns='a'><b:Body xmlns:b='b'/></Document>";
    assert_eq!(
        refused(foreign.as_bytes()).to_string(),
        "line 1, Body: an element of a foreign namespace, b"
    );
}

#[test]
fn supplementary_data_may_be_of_any_namespace() {
    let text = sample("camt054-10-empty.xml");
    let data =
        "<SplmtryData><Envlp><b:Any xmlns:b='b'><b:Thing/></b:Any></Envlp></SplmtryData></Ntfctn>";
    let extended = text.replace("</Ntfctn>", data);
    assert!(read(extended.as_bytes(), &Limits::default()).is_ok());
}

#[test]
fn encodings_that_cannot_be_read_are_named() {
    let utf16: Vec<u8> = "<Document/>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = [&[0xff, 0xfe], utf16.as_slice()].concat();
    assert_eq!(
        refused(&marked).to_string(),
        "line 1: the file is UTF-16; save the file as UTF-8"
    );
    assert_eq!(
        refused(b"<?xml version='1.0' encoding='windows-1252'?><Document/>").to_string(),
        "line 1: the encoding windows-1252; save the file as UTF-8"
    );
    assert_eq!(
        refused(b"<Document>\n\n\xe4</Document>").to_string(),
        "line 3: a byte that is not UTF-8; save the file as UTF-8"
    );
}

#[test]
fn sizes_are_bounded() {
    let limits = |bytes, elements, depth| Limits {
        bytes,
        elements,
        depth,
    };
    let text = sample("camt053-02.xml");
    let code = |limits| read(text.as_bytes(), &limits).unwrap_err().to_string();
    assert_eq!(
        code(limits(100, 1_000, 64)),
        format!("the file has {} bytes, the limit is 100", text.len())
    );
    assert_eq!(
        code(limits(1 << 20, 20, 64)),
        "line 26: more than 20 elements"
    );
    assert_eq!(
        code(limits(1 << 20, 1_000, 5)),
        "line 19: more than 5 levels of elements"
    );
    let deep = "<a>".repeat(100_000);
    assert_eq!(
        refused(deep.as_bytes()).to_string(),
        "line 1: more than 64 levels of elements"
    );
    let wide: String = (0..40).map(|n| format!(" a{n}='1'")).collect();
    assert_eq!(
        refused(format!("<Document{wide}/>").as_bytes()).to_string(),
        "line 1: more than 32 attributes of an element"
    );
    let spaces: String = (0..30).map(|n| format!(" xmlns:a{n}='u{n}'")).collect();
    let nested = format!("<a{spaces}><b{spaces}><c{spaces}/></b></a>");
    assert_eq!(
        refused(nested.as_bytes()).to_string(),
        "line 1: more than 64 namespace declarations"
    );
    let rows = sample("statement.csv");
    let few = limits(1 << 20, 2, 64);
    assert_eq!(
        read(rows.as_bytes(), &few).unwrap_err().to_string(),
        "line 5: more than 2 rows"
    );
}

#[test]
fn csv_that_is_wrong_says_which_column() {
    let name = "statement.csv";
    for (from, to, expected) in [
        ("record,account", "record,konto", "line 1, account: missing"),
        (
            "opening,DE89 3704 0044 0532 0130 00,EUR",
            "opening,,EUR",
            "line 2, account: missing",
        ),
        (
            "opening,DE89 3704 0044 0532 0130 00,EUR",
            "opening,DE89 3704 0044 0532 0130 00,eur",
            "line 2, currency: \"eur\" is not a currency (ISO 4217, three capital letters)",
        ),
        (
            "entry,,EUR,",
            "entry,,USD,",
            "line 4, currency: the currency is USD, the account's is EUR",
        ),
        (
            "entry,,EUR,",
            "entry,123,EUR,",
            "line 4, account: the report is of account 123, not of DE89 3704 0044 0532 0130 00",
        ),
        (
            "entry,,EUR,",
            "booking,,EUR,",
            "line 4, record: \"booking\" is not entry or closing",
        ),
        (
            "-1.62,B-1002",
            "-1.6.2,B-1002",
            "line 4, amount: \"-1.6.2\": not a decimal number (digits, a point, digits)",
        ),
        (
            "-1.62,B-1002",
            "-1.625,B-1002",
            "line 4, amount: \"-1.625\": more decimals than the currency has",
        ),
        (
            "-1.62,B-1002",
            "-1.61,B-1002",
            "line 7, amount: opening 100.00 + entries -3.43 = 96.57, but closing is 96.56: a difference of -0.01",
        ),
        (
            ",PDNG",
            ",OPEN",
            "line 6, status: \"OPEN\" is not BOOK, PDNG, INFO or FUTR",
        ),
        (
            "closing,,,2026-04-03,,96.56,2026-067,,,,,,,\n",
            "",
            "line 6: the file is cut off: the statement (its closing row) is not closed; get the whole file from the bank again",
        ),
        (
            "closing,,,2026-04-03,,96.56,2026-067,,,,,,,",
            "closing,,,2026-04-03,,96.56,2026-067,,",
            "line 7: a row of 9 columns instead of 14; is the file cut off?",
        ),
        (
            "2026-04-03,,-1.62",
            "2026-04-31,,-1.62",
            "line 4, date: \"2026-04-31\" is not a date (2026-03-31)",
        ),
    ] {
        check(name, from, to, expected);
    }
    let more = format!("{}entry,,,2026-04-03,,1.00,,,,,,,,\n", sample(name));
    assert_eq!(
        refused(more.as_bytes()).to_string(),
        "line 8, record: \"entry\" is not nothing: the closing row is the last one"
    );
}

/// Every beginning of a file that is not all of it is refused, wherever it is cut.
#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    for (name, step) in [
        ("camt053-01.xml", 1),
        ("camt054-04-batch.xml", 1),
        ("pain002-03.xml", 1),
        ("statement.csv", 1),
        // Long; every place would take long, too.
        ("camt053-08-prefixed.xml", 13),
    ] {
        let text = sample(name);
        let whole = text.trim_end_matches('\n');
        assert!(read(whole.as_bytes(), &Limits::default()).is_ok());
        for end in (0..whole.len()).step_by(step) {
            let beginning = &whole.as_bytes()[..end];
            assert!(
                read(beginning, &Limits::default()).is_err(),
                "{name} cut at byte {end} was taken"
            );
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(read(&bytes, &Limits::default()).is_err());
    }

    /// A file with some bytes replaced is read or refused; what is read still balances.
    #[test]
    fn damaged_files_are_taken_whole_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        name in prop::sample::select(vec!["camt053-02.xml", "camt053-08-prefixed.xml", "statement.csv"]),
    ) {
        let mut bytes = sample(name).into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for report in read(&bytes, &Limits::default()).unwrap_or_default() {
            let booked = report.entries.iter().filter(|e| e.status == hansa_bank::EntryStatus::Booked);
            let sum: i64 = booked.map(|e| e.amount_minor).sum();
            let balance = |b: Option<hansa_bank::Balance>| b.expect("a statement has it").amount_minor;
            prop_assert_eq!(balance(report.opening) + sum, balance(report.closing));
        }
    }
}
