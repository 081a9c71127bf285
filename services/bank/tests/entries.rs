//! What makes one entry: parts, batches, charges, directions, returns. Each case is an entry in a notification.

use hansa_bank::{BankEntry, FileError, Limits, read};

/// The notification's one entry.
fn entry(sign: &str, amount: &str, rest: &str) -> Result<BankEntry, FileError> {
    let text = format!(
        "<Document><BkToCstmrDbtCdtNtfctn><GrpHdr><MsgId>1</MsgId></GrpHdr><Ntfctn><Id>1</Id>\
         <Acct><Id><IBAN>DE89370400440532013000</IBAN></Id><Ccy>EUR</Ccy></Acct>\
         <Ntry><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Sts>BOOK</Sts>{rest}</Ntry>\
         </Ntfctn></BkToCstmrDbtCdtNtfctn></Document>"
    );
    Ok(read(text.as_bytes(), &Limits::default())?
        .remove(0)
        .entries
        .remove(0))
}

fn amounts(entry: &BankEntry) -> Vec<Option<i64>> {
    entry.parts.iter().map(|part| part.amount_minor).collect()
}

/// A part as versions up to .03 write its amount.
fn part(amount: &str, currency: &str) -> String {
    format!(
        "<TxDtls><AmtDtls><TxAmt><Amt Ccy=\"{currency}\">{amount}</Amt></TxAmt></AmtDtls></TxDtls>"
    )
}

#[test]
fn parts_that_add_up_are_items() {
    let details = format!(
        "<NtryDtls>{}{}</NtryDtls>",
        part("3.44", "EUR"),
        part("1.62", "EUR")
    );
    let found = entry("DBIT", "5.06", &details).unwrap();
    assert!(found.itemised);
    assert_eq!(amounts(&found), [Some(-344), Some(-162)]);
}

#[test]
fn parts_may_go_the_other_way() {
    let returned = "<TxDtls><Amt Ccy=\"EUR\">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd></TxDtls>";
    let details = format!("<NtryDtls>{}{returned}</NtryDtls>", part("3.44", "EUR"));
    let found = entry("DBIT", "2.44", &details).unwrap();
    assert!(found.itemised);
    assert_eq!(amounts(&found), [Some(-344), Some(100)]);
}

#[test]
fn parts_that_do_not_add_up_need_charges_to_explain_it() {
    let parts = format!("{}{}", part("3.44", "EUR"), part("1.62", "EUR"));
    let refused = entry("DBIT", "5.16", &format!("<NtryDtls>{parts}</NtryDtls>")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "line 1, BkToCstmrDbtCdtNtfctn/Ntfctn/Ntry: the parts sum to -5.06, the entry is -5.16"
    );
    let charged = format!(
        "<Chrgs><Rcrd><Amt Ccy=\"EUR\">0.10</Amt></Rcrd></Chrgs><NtryDtls>{parts}</NtryDtls>"
    );
    let found = entry("DBIT", "5.16", &charged).unwrap();
    assert!(!found.itemised && found.parts.len() == 2);
    let in_part = parts.replacen(
        "</TxDtls>",
        "<Chrgs><TtlChrgsAndTaxAmt Ccy=\"EUR\">0.10</TtlChrgsAndTaxAmt></Chrgs></TxDtls>",
        1,
    );
    let found = entry("DBIT", "5.16", &format!("<NtryDtls>{in_part}</NtryDtls>")).unwrap();
    assert!(!found.itemised);
}

#[test]
fn one_part_is_its_entry_whatever_currency_it_was_ordered_in() {
    for details in [
        part("3.99", "USD"),
        part("3.50", "EUR"),
        "<TxDtls></TxDtls>".to_owned(),
    ] {
        let found = entry("CRDT", "3.44", &format!("<NtryDtls>{details}</NtryDtls>")).unwrap();
        assert!(found.itemised, "{details}");
        assert_eq!(amounts(&found), [Some(344)], "{details}");
    }
}

#[test]
fn parts_without_an_amount_in_the_currency_are_no_items() {
    let details = format!(
        "<NtryDtls>{}{}</NtryDtls>",
        part("3.99", "USD"),
        part("1.62", "EUR")
    );
    let found = entry("CRDT", "5.06", &details).unwrap();
    assert!(!found.itemised);
    assert_eq!(amounts(&found), [None, Some(162)]);
}

#[test]
fn one_set_of_details_for_a_batch_of_many_does_not_make_it_one_payment() {
    let batch = "<Btch><PmtInfId>P-1</PmtInfId><NbOfTxs>25</NbOfTxs></Btch>";
    let details = format!(
        "<NtryDtls>{batch}<TxDtls><Refs><EndToEndId>E-1</EndToEndId></Refs></TxDtls></NtryDtls>"
    );
    let found = entry("DBIT", "5.06", &details).unwrap();
    assert!(!found.itemised);
    assert_eq!(found.batch.unwrap().count, Some(25));
}

#[test]
fn two_batches_of_one_entry_have_no_common_id() {
    let batch = |id: &str, count: u8| {
        format!(
            "<NtryDtls><Btch><MsgId>M</MsgId><PmtInfId>{id}</PmtInfId><NbOfTxs>{count}</NbOfTxs></Btch></NtryDtls>"
        )
    };
    let found = entry(
        "DBIT",
        "5.06",
        &format!("{}{}", batch("P-1", 2), batch("P-2", 3)),
    )
    .unwrap();
    let both = found.batch.unwrap();
    assert_eq!(
        (both.message_id.as_deref(), both.payment_information_id),
        (Some("M"), None)
    );
    assert_eq!(both.count, Some(5));
}

#[test]
fn two_batches_of_two_messages_have_none() {
    let batch = |id: &str| format!("<NtryDtls><Btch><MsgId>{id}</MsgId></Btch></NtryDtls>");
    let found = entry("DBIT", "5.06", &format!("{}{}", batch("M-1"), batch("M-2"))).unwrap();
    let both = found.batch.unwrap();
    assert_eq!((both.message_id, both.count), (None, None));
}

#[test]
fn a_return_is_known_by_its_reason_its_flag_or_its_code() {
    let code = |family: &str| {
        format!(
            "<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>ICDT</Cd><SubFmlyCd>{family}</SubFmlyCd></Fmly></Domn></BkTxCd>"
        )
    };
    let reason = "<NtryDtls><TxDtls><RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf></TxDtls></NtryDtls>";
    for (rest, returned) in [
        (reason.to_owned(), true),
        ("<RvslInd>true</RvslInd>".to_owned(), true),
        ("<RvslInd>false</RvslInd>".to_owned(), false),
        (code("RRTN"), true),
        (code("RPCR"), true),
        (code("ESCT"), false),
        (
            format!("<NtryDtls><TxDtls>{}</TxDtls></NtryDtls>", code("RRTN")),
            true,
        ),
    ] {
        let found = entry("CRDT", "3.44", &rest).unwrap();
        assert_eq!(found.is_return(), returned, "{rest}");
    }
    let refused = entry("CRDT", "3.44", "<RvslInd>yes</RvslInd>").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "line 1, BkToCstmrDbtCdtNtfctn/Ntfctn/Ntry/RvslInd: \"yes\" is not true or false"
    );
}

#[test]
fn the_counterparty_is_the_side_that_is_not_us() {
    let us = "DE89370400440532013000";
    let side = |role: &str, name: &str, account: &str| {
        format!(
            "<{role}><Nm>{name}</Nm></{role}><{role}Acct><Id><IBAN>{account}</IBAN></Id></{role}Acct>"
        )
    };
    let they = "NL91ABNA0417164300";
    for (sign, parties) in [
        // We pay; we are paid.
        (
            "DBIT",
            side("Dbtr", "Hansa", us) + &side("Cdtr", "Alster", they),
        ),
        (
            "CRDT",
            side("Dbtr", "Alster", they) + &side("Cdtr", "Hansa", us),
        ),
        // Roles the wrong way round.
        (
            "DBIT",
            side("Dbtr", "Alster", they) + &side("Cdtr", "Hansa", us),
        ),
    ] {
        let details =
            format!("<NtryDtls><TxDtls><RltdPties>{parties}</RltdPties></TxDtls></NtryDtls>");
        let found = entry(sign, "3.44", &details).unwrap();
        let other = &found.single().unwrap().counterparty;
        assert_eq!(other.name.as_deref(), Some("Alster"), "{sign} {parties}");
    }
}

#[test]
fn what_comes_back_names_the_payee_of_the_original() {
    // No account says which side is ours.
    let parties = "<Dbtr><Nm>Hansa</Nm></Dbtr><Cdtr><Nm>Alster</Nm></Cdtr>";
    let details = |more: &str| {
        format!("<NtryDtls><TxDtls><RltdPties>{parties}</RltdPties>{more}</TxDtls></NtryDtls>")
    };
    let name = |details: &str| {
        let found = entry("CRDT", "3.44", details).unwrap();
        found.single().unwrap().counterparty.name.clone().unwrap()
    };
    assert_eq!(name(&details("<RtrInf/>")), "Alster");
    assert_eq!(name(&details("")), "Hansa");
}

#[test]
fn what_banks_write_for_no_id_is_none() {
    for (id, found) in [
        ("NOTPROVIDED", None),
        ("NONREF", None),
        ("HANSA-2026-03-A", Some("HANSA-2026-03-A")),
    ] {
        let refs = format!("<Refs><EndToEndId>{id}</EndToEndId></Refs>");
        let details = format!("<NtryDtls><TxDtls>{refs}</TxDtls></NtryDtls>");
        let entry = entry("CRDT", "3.44", &details).unwrap();
        assert_eq!(
            entry.single().unwrap().end_to_end_id.as_deref(),
            found,
            "{id}"
        );
    }
}
