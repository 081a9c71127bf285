use super::*;
use hansa_client::message::Kind;

const REFERENCE: &str = "019c936e387b8525bca2b32abb0aaa32";

fn plan_csv(text: &str) -> Result<Vec<Planned>, Vec<Problem>> {
    rows::read(text.as_bytes(), Form::Csv).and_then(plan::plan)
}

/// Rows under the full header: kind,receipt,running,event_time,member,card,amount,currency,points,original,lane.
fn with_header(rows: &[&str]) -> String {
    let mut text = rows::COLUMNS.names.join(",");
    for row in rows {
        text.push('\n');
        text += &row
            .replace("REF", REFERENCE)
            .replace("T1", "2026-03-01T12:00:00+01:00");
    }
    text
}

fn problems(rows: &[&str]) -> Vec<String> {
    plan_csv(&with_header(rows))
        .unwrap_err()
        .iter()
        .map(|p| format!("{} {}: {}", p.line, p.column.unwrap_or("-"), p.text))
        .collect()
}

#[test]
fn every_kind_is_read_and_planned() {
    let text = with_header(&[
        "accrual,R1,,T1,REF,,12.34,EUR,,,till-7",
        "accrual_reversal,R2,,T1,REF,,2.34,EUR,,R1,till-7",
        "redemption_authorisation,R3,,T1,REF,,,,100,,till-7",
        "redemption_capture,R3,,T1,REF,,,,80,R3,till-7",
        "redemption_refund,R4,,T1,REF,,,,80,R3,till-7",
        "redemption_authorisation,R5,,T1,,6001 2300,,,100,,",
        "redemption_void,R5,,T1,,60012300,,,,R5,",
        "redemption_void,R6,,T1,REF,,,,,019c936e-387b-8525-bca2-b32abb0aaa32,",
    ]);
    let planned = plan_csv(&text).unwrap();
    assert_eq!(planned.len(), 8);
    assert_eq!(planned[0].row.line, 2);
    assert_eq!(planned[0].row.kind, Kind::Accrual);
    assert_eq!(planned[0].row.event_time, 1_772_362_800_000_000);
    let id = |n: usize| planned[n].id.to_vec();
    let body = |n: usize| {
        let bytes = planned[n].message([7; 16]).unwrap();
        let message = <hansa_proto::v1::Message as prost::Message>::decode(&*bytes).unwrap();
        assert_eq!(message.message_id, id(n));
        assert_eq!(message.member_reference, [7; 16]);
        message.body.unwrap()
    };
    use hansa_proto::v1::message::Body;
    let Body::Accrual(accrual) = body(0) else {
        panic!()
    };
    assert_eq!(accrual.eligible_amount.unwrap().micros, 12_340_000);
    assert_eq!(accrual.points, None);
    let Body::AccrualReversal(reversal) = body(1) else {
        panic!()
    };
    assert_eq!(reversal.accrual_message_id, id(0));
    let Body::RedemptionCapture(capture) = body(3) else {
        panic!()
    };
    assert_eq!(
        (capture.authorisation_message_id, capture.points),
        (id(2), 80)
    );
    let Body::RedemptionRefund(refund) = body(4) else {
        panic!()
    };
    assert_eq!(refund.capture_message_id, id(3));
    let Body::RedemptionVoid(void) = body(6) else {
        panic!()
    };
    assert_eq!(void.authorisation_message_id, id(5));
    let Body::RedemptionVoid(void) = body(7) else {
        panic!()
    };
    assert_eq!(
        void.authorisation_message_id,
        render::id16(REFERENCE).unwrap()
    );
    // One card, however it is written.
    assert_eq!(
        plan::cards(&planned),
        [crate::cli::member::card_key("60012300")]
    );
}

#[test]
fn json_lines_give_the_same_messages_as_csv() {
    let csv = plan_csv(&with_header(&[
        "accrual,17,2,T1,REF,,12.34,EUR,5,,",
        "redemption_authorisation,18,,T1,,6001,,,7,,a",
    ]))
    .unwrap();
    let json = format!(
        "{{\"kind\":\"accrual\",\"receipt\":17,\"running\":2,\"event_time\":\"2026-03-01T12:00:00+01:00\",\
         \"member\":\"{REFERENCE}\",\"amount\":\"12.34\",\"currency\":\"EUR\",\"points\":5,\"lane\":null}}\n\n\
         {{\"kind\":\"redemption_authorisation\",\"receipt\":\"18\",\"event_time\":\"2026-03-01T11:00:00Z\",\
         \"card\":6001,\"points\":\"7\",\"lane\":\"a\"}}\n"
    );
    let json = rows::read(json.as_bytes(), Form::Jsonl)
        .and_then(plan::plan)
        .unwrap();
    assert_eq!(json[1].row.line, 3);
    for (a, b) in csv.iter().zip(&json) {
        assert_eq!(a.message([7; 16]).unwrap(), b.message([7; 16]).unwrap());
        assert_eq!(a.row.member, b.row.member);
    }
}

#[test]
fn the_same_file_gives_the_same_bytes() {
    let text = with_header(&["accrual,R1,,T1,REF,,12.34,EUR,,,till-7"]);
    let bytes = || plan_csv(&text).unwrap()[0].message([7; 16]).unwrap();
    assert_eq!(bytes(), bytes());
    assert_eq!(
        hex(&plan_csv(&text).unwrap()[0].id),
        hex(&hansa_client::ids::message_id(
            1_772_362_800_000_000,
            "till-7",
            "R1",
            Kind::Accrual,
            1
        )
        .unwrap())
    );
}

#[test]
fn every_problem_of_every_row_is_told_with_line_and_column() {
    let found = problems(&[
        "purchase,R1,,T1,REF,,1,EUR,,,",
        "accrual,,0,yesterday,,,1.2345678,EUR,x,,",
        "accrual,R2,,T1,REF,6001,1,,,R1,",
        "redemption_void,R3,,T1,xyz,,1,EUR,5,,",
        "redemption_authorisation,R4,,T1,REF,,,,0,,",
        "accrual,R5,,T1,REF,,-1,EUR,,,",
        "accrual,R6,,2026-03-01,REF,,1,eur,,,",
        "accrual,R7",
        "accrual,R8,,T1,REF,,1,EUR,,,",
    ]);
    for part in [
        "2 kind: \"purchase\": none of accrual, accrual_reversal",
        "3 receipt: is empty",
        "3 running: \"0\": a number from 1",
        "3 event_time: \"yesterday\": an instant with its offset",
        "3 member: is empty; give member",
        "3 amount: \"1.2345678\": an amount has at most 6 decimals",
        "3 points: \"x\": a whole number",
        "4 card: give member or card, not both",
        "4 currency: is empty; accrual needs it",
        "4 original: has no meaning for accrual",
        "5 member: \"xyz\": a reference has 32",
        "5 amount: has no meaning for redemption_void",
        "5 points: has no meaning",
        "5 original: is empty; redemption_void needs it",
        "8 event_time: \"2026-03-01\"",
        "8 amount: \"1\": a currency code is three upper-case letters",
        "9 -: 2 cells, but 11 columns",
    ] {
        assert!(
            found.iter().any(|p| p.starts_with(part)),
            "{part} is not in {found:#?}"
        );
    }
    assert!(found.iter().all(|p| !p.starts_with("10 ")));
}

#[test]
fn field_rules_are_those_of_the_hub() {
    let found = problems(&[
        "redemption_authorisation,R4,,T1,REF,,,,0,,",
        "accrual,R5,,T1,REF,,-1,EUR,,,",
    ]);
    assert_eq!(found.len(), 2);
    assert!(
        found[0].contains("redemption_authorisation.points"),
        "{found:?}"
    );
    assert!(
        found[1].contains("accrual.eligible_amount.micros"),
        "{found:?}"
    );
}

#[test]
fn the_same_message_twice_is_refused_until_it_is_numbered() {
    let found = problems(&[
        "accrual,R1,,T1,REF,,1,EUR,,,",
        "accrual,R1,,T1,REF,,2,EUR,,,",
    ]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("3 -: the same message as line 2"),
        "{found:?}"
    );
    let numbered = [
        "accrual,R1,1,T1,REF,,1,EUR,,,",
        "accrual,R1,2,T1,REF,,2,EUR,,,",
    ];
    assert!(plan_csv(&with_header(&numbered)).is_ok());
}

#[test]
fn a_reference_to_a_receipt_must_be_clear() {
    let reversal = "accrual_reversal,R2,,T1,REF,,1,EUR,,R1,";
    let purchase = "accrual,R1,,T1,REF,,1,EUR,,,";
    for (rows, part) in [
        (vec![reversal], "no accrual with receipt R1"),
        (vec![reversal, purchase], "is below, in line 3"),
        (
            vec!["accrual,R1,,T1,REF,,1,EUR,,,a", reversal],
            "the same lane",
        ),
        (
            vec![purchase, "accrual,R1,2,T1,REF,,1,EUR,,,", reversal],
            "more than one accrual, in lines 2 and 3",
        ),
        (
            vec!["redemption_authorisation,R1,,T1,REF,,,,5,,", reversal],
            "no accrual with receipt R1",
        ),
    ] {
        let found = problems(&rows);
        assert!(
            found.len() == 1 && found[0].contains(part),
            "{part} is not in {found:?}"
        );
    }
}

#[test]
fn columns_are_checked_by_name() {
    for (header, part) in [
        ("kind,receipt,event_time,amout", "\"amout\""),
        ("kind;receipt;event_time", "separated by commas"),
        ("kind,receipt", "event_time is missing"),
        ("kind,kind,receipt,event_time", "twice"),
        ("", "kind is missing"),
    ] {
        let found = plan_csv(header).unwrap_err();
        assert!(found[0].text.contains(part), "{header}: {found:?}");
        assert_eq!(found[0].line, 1);
    }
    // As spreadsheets save it: byte order mark, CRLF, any order of columns, spaces.
    let text = format!(
        "\u{feff}receipt, kind,event_time,currency,amount,member\r\nR1,accrual,2026-03-01T12:00:00Z,EUR, 1 ,{REFERENCE}\r\n"
    );
    assert_eq!(plan_csv(&text).unwrap().len(), 1);
    assert_eq!(plan_csv("kind,receipt,event_time\n").unwrap().len(), 0);
}

#[test]
fn json_lines_are_checked_by_field() {
    for (line, part) in [
        ("{", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("{\"amout\": 1}", "\"amout\""),
        ("{\"amount\": 12.34}", "12.34 is not exact"),
        ("{\"points\": [1]}", "not plain"),
    ] {
        let text = format!("\n{line}\n");
        let found = rows::read(text.as_bytes(), Form::Jsonl).unwrap_err();
        assert!(found[0].text.contains(part), "{line}: {found:?}");
        assert_eq!(found[0].line, 2);
    }
}

fn answered(code: &str, points: i64, replayed: bool) -> Option<Answered> {
    Some(Answered {
        code: code.to_owned(),
        points,
        leaf_index: Some(3),
        replayed,
    })
}

fn two_rows() -> Vec<Planned> {
    plan_csv(&with_header(&[
        "accrual,R1,,T1,REF,,12.34,EUR,,,",
        "redemption_authorisation,R1,,T1,REF,,,,100,,",
    ]))
    .unwrap()
}

#[test]
fn totals_count_each_row_once() {
    let planned = two_rows();
    let mut report = Report {
        answers: vec![
            answered("ACCEPTED", 12, true),
            answered("INSUFFICIENT_POINTS", 0, false),
        ],
        ..Report::default()
    };
    let counted = totals(&planned, &report);
    assert_eq!(
        totals_text(2, &counted, 0),
        "2 rows: 1 accepted (1 of them before), 1 INSUFFICIENT_POINTS\n  accrual: 12 points\n"
    );
    report.answers[1] = None;
    assert_eq!(totals(&planned, &report).unanswered, 1);
}

#[test]
fn results_are_written_whole_in_the_form_of_the_rows() {
    let planned = two_rows();
    let report = Report {
        answers: vec![answered("ACCEPTED", 12, true), None],
        ..Report::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("results");
    write_results(&path, Form::Csv, &planned, &report).unwrap();
    let [first, second] = [hex(&planned[0].id), hex(&planned[1].id)];
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        format!(
            "line,message_id,code,points,leaf_index,replayed\n2,{first},ACCEPTED,12,3,true\n3,{second},,,,\n"
        )
    );
    write_results(&path, Form::Jsonl, &planned, &report).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let row: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(row["message_id"], first);
    assert_eq!(row["points"], 12);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn exit_codes_tell_what_to_do() {
    let report = |answers| Report {
        answers,
        ..Report::default()
    };
    let of = |report: &Report| match exit_code(report) {
        Ok(code) => format!("{code:?}"),
        Err(error) => match error.downcast_ref::<exit::Coded>() {
            Some(coded) => format!("{:?}", ExitCode::from(coded.code)),
            None => error.to_string(),
        },
    };
    let code = |code: u8| format!("{:?}", ExitCode::from(code));
    let good = || answered("ACCEPTED", 1, false);
    let bad = || answered("INSUFFICIENT_POINTS", 0, false);
    assert_eq!(of(&report(vec![])), code(0));
    assert_eq!(of(&report(vec![good()])), code(0));
    assert_eq!(of(&report(vec![good(), bad()])), code(exit::PARTIAL));
    assert_eq!(of(&report(vec![good(), None])), code(exit::UNAVAILABLE));
}
