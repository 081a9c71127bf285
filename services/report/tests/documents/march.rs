//! The golden statements of March 2026: merchants A, F and T, in both funding modes, as the hub would hand them over.

use chrono::{DateTime, Utc};
use hansa_money::{Currency, round_half_even};
use hansa_report::*;

/// One line as the tables have it: kind, counterparty, events, points, micro-units.
type Line = (&'static str, Option<&'static str>, u64, i64, i64);

pub(crate) struct Golden {
    pub(crate) name: &'static str,
    merchant: &'static str,
    net: i64,
    lines: &'static [Line],
    /// Counterparty (empty = hub), points, micro-units, messages.
    bilateral: &'static [(&'static str, i64, i64, u64)],
    /// Kind, messages, micro-units.
    messages: &'static [(&'static str, u64, i64)],
    promotion: Option<(i64, i64)>,
    /// Fee per point in micro-units, points; redemption fee in micro-units.
    fees: (i64, i64, i64),
}

pub(crate) const GOLDEN: [Golden; 6] = [
    Golden {
        name: "issue-a",
        merchant: "A",
        net: -3_442_775,
        lines: &[
            ("BASE_ACCRUAL", None, 1, 1_509, 14_373_225),
            ("REDEMPTION", None, 3, 2_000, -15_600_000),
            ("REVERSAL_RECOVERED", None, 3, 277, -2_216_000),
            ("REVERSAL_CLAIMED", None, 1, 340, 0),
            ("DEBT_OPENED", None, 1, 163, 0),
            ("DEBT_SETTLED", None, 1, 100, 0),
        ],
        bilateral: &[("", 0, -3_442_775, 4)],
        messages: &[
            ("ACCRUAL", 2, 13_573_225),
            ("REDEMPTION_CAPTURE", 1, -15_600_000),
            ("ACCRUAL_REVERSAL", 1, -1_416_000),
        ],
        promotion: None,
        fees: (1_525, 1_509, 400_000),
    },
    Golden {
        name: "issue-f",
        merchant: "F",
        net: 4_078_793,
        lines: &[
            ("BASE_ACCRUAL", None, 1, 334, 3_340_000),
            ("PROMOTION_SHARE", None, 1, 200, 2_000_000),
            ("BREAKAGE_SHARE", None, 1, 473, -1_261_207),
        ],
        bilateral: &[("", 0, 4_078_793, 1)],
        messages: &[("ACCRUAL", 1, 5_340_000), ("EXPIRY", 1, -1_261_207)],
        promotion: Some((200, 2_000_000)),
        fees: (2_000, 534, 0),
    },
    Golden {
        name: "issue-t",
        merchant: "T",
        net: -1_622_010,
        lines: &[
            ("BASE_ACCRUAL", None, 1, 100, 973_500),
            ("PROMOTION_SHARE", None, 1, 134, 1_304_490),
            ("REDEMPTION", None, 1, 800, -6_240_000),
            ("REDEMPTION_REFUND", None, 1, 300, 2_340_000),
        ],
        bilateral: &[("", 0, -1_622_010, 4)],
        messages: &[
            ("ACCRUAL", 2, 2_277_990),
            ("REDEMPTION_CAPTURE", 1, -6_240_000),
            ("REDEMPTION_REFUND", 1, 2_340_000),
        ],
        promotion: Some((134, 1_304_490)),
        fees: (1_735, 234, 100_000),
    },
    Golden {
        name: "burn-a",
        merchant: "A",
        net: -3_442_775,
        lines: &[
            ("BASE_FEE", None, 1, 1_509, 2_301_225),
            ("POINTS_CONSUMED", Some("A"), 1, 1_509, 12_072_000),
            ("REDEMPTION", None, 3, 2_000, -15_600_000),
            ("REVERSAL_RECOVERED", None, 3, 277, -2_216_000),
        ],
        bilateral: &[
            ("", 0, 2_701_225, 2),
            ("F", 534, -4_272_000, 2),
            ("T", 234, -1_872_000, 2),
        ],
        messages: &[
            ("ACCRUAL", 2, 1_501_225),
            ("REDEMPTION_CAPTURE", 1, -3_528_000),
            ("ACCRUAL_REVERSAL", 1, -1_416_000),
        ],
        promotion: None,
        fees: (1_525, 1_509, 400_000),
    },
    Golden {
        name: "burn-f",
        merchant: "F",
        net: 9_340_000,
        lines: &[
            ("BASE_FEE", None, 1, 334, 668_000),
            ("PROMOTION_FEE", None, 1, 200, 400_000),
            ("POINTS_CONSUMED", Some("A"), 2, 491, 3_928_000),
            ("POINTS_CONSUMED", Some("T"), 1, 800, 6_400_000),
            ("POINTS_CONSUMED_REFUNDED", Some("T"), 1, 300, -2_400_000),
            ("POINTS_TAKEN", Some("A"), 1, 43, 344_000),
        ],
        bilateral: &[
            ("", 0, 1_068_000, 1),
            ("A", 534, 4_272_000, 2),
            ("T", 500, 4_000_000, 2),
        ],
        messages: &[
            ("ACCRUAL", 1, 1_068_000),
            ("REDEMPTION_CAPTURE", 2, 10_328_000),
            ("REDEMPTION_REFUND", 1, -2_400_000),
            ("ACCRUAL_REVERSAL", 1, 344_000),
        ],
        promotion: Some((200, 400_000)),
        fees: (2_000, 534, 0),
    },
    Golden {
        name: "burn-t",
        merchant: "T",
        net: -1_622_010,
        lines: &[
            ("BASE_FEE", None, 1, 100, 173_500),
            ("PROMOTION_FEE", None, 1, 134, 232_490),
            ("POINTS_TAKEN", Some("A"), 1, 134, 1_072_000),
            ("DEBT_REPAID", Some("A"), 1, 100, 800_000),
            ("REDEMPTION", None, 1, 800, -6_240_000),
            ("REDEMPTION_REFUND", None, 1, 300, 2_340_000),
        ],
        bilateral: &[
            ("", 0, 505_990, 4),
            ("A", 234, 1_872_000, 2),
            ("F", 500, -4_000_000, 2),
        ],
        messages: &[
            ("ACCRUAL", 2, 1_205_990),
            ("REDEMPTION_CAPTURE", 1, -6_240_000),
            ("REDEMPTION_REFUND", 1, 2_340_000),
            ("ACCRUAL_REVERSAL", 1, 1_072_000),
        ],
        promotion: Some((134, 232_490)),
        fees: (1_735, 234, 100_000),
    },
];

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn name(id: &str) -> &'static str {
    match id {
        "A" => "Apotheke am Markt GmbH",
        "F" => "Fromagerie Élysée S.A.",
        _ => "Tankstelle Sørensen & Søn",
    }
}

pub(crate) fn issuer() -> Issuer {
    Issuer {
        alliance: "Hanse Alliance".into(),
        programme: "Hanse points".into(),
        address: vec!["Am Sandtorkai 1".into(), "20457 Hamburg".into()],
        origin: "hansa.example/log".into(),
    }
}

pub(crate) fn party(id: &str) -> Counterparty {
    match id {
        "" => Counterparty::Hub,
        id => Counterparty::Merchant {
            id: id.into(),
            name: name(id).into(),
        },
    }
}

fn account(id: &str) -> BankAccount {
    BankAccount {
        holder: name(id).into(),
        number: match id {
            "A" => "DE89370400440532013000",
            "F" => "FR1420041010050500013M02606",
            _ => "DK5000400440116243",
        }
        .into(),
        bic: None,
    }
}

pub(crate) fn money(micros: i64) -> Amount {
    Amount::from_micros(micros)
}

impl Golden {
    pub(crate) fn of(name: &str) -> &'static Self {
        GOLDEN.iter().find(|golden| golden.name == name).unwrap()
    }

    pub(crate) fn parts(&self) -> StatementParts {
        let paid = round_half_even(i128::from(self.net), Currency::EUR);
        let paid = i64::try_from(paid).unwrap();
        StatementParts {
            issuer: issuer(),
            cycle: 1,
            state: CycleState::Approved,
            period: Period {
                opens_at: Some(at("2026-02-28T23:00:00Z")),
                closes_at: Some(at("2026-03-31T22:00:00Z")),
                zone: chrono_tz::Europe::Berlin,
            },
            currency: Currency::EUR,
            merchant: MerchantParty {
                id: self.merchant.into(),
                name: name(self.merchant).into(),
                address: vec!["Markt 12".into(), "23552 Lübeck".into()],
                tax_id: Some("DE123456789".into()),
                tax: Some(self.tax()),
                settlement_account: Some(account(self.merchant)),
            },
            brought_forward: Amount::ZERO,
            opening: Vec::new(),
            lines: self.lines.iter().map(line).collect(),
            net: money(self.net),
            promotions: self.promotions(),
            fees: self.fees(),
            adjustments: Vec::new(),
            holdbacks: Vec::new(),
            bilateral: self.bilateral(),
            messages: self.messages(),
            payments: vec![self.payment(paid)],
            carried_forward: money(self.net - paid),
            proof: Some(proof()),
            drill_down: None,
        }
    }

    pub(crate) fn document(&self) -> StatementDocument {
        StatementDocument::new(self.parts()).unwrap()
    }

    fn tax(&self) -> Tax {
        Tax {
            category: "S".into(),
            rate_percent: Some("19".parse().unwrap()),
        }
    }

    fn promotions(&self) -> Vec<PromotionShare> {
        let share = self.promotion.map(|(points, micros)| PromotionShare {
            promotion: "double".into(),
            name: "Double points in March".into(),
            points,
            amount: money(micros),
        });
        share.into_iter().collect()
    }

    fn fees(&self) -> Vec<FeeItem> {
        let (per_point, points, redemption) = self.fees;
        let fee = |kind, points, micros| FeeItem {
            kind: LineKind::new(kind),
            points,
            amount: money(micros),
            tax: Some(self.tax()),
        };
        let mut fees = vec![fee("SERVICE_FEE", points, per_point * points)];
        if redemption > 0 {
            fees.push(fee("REDEMPTION_FEE", 0, redemption));
        }
        fees
    }

    fn bilateral(&self) -> Vec<BilateralNet> {
        self.bilateral
            .iter()
            .map(|(id, points, micros, messages)| BilateralNet {
                counterparty: party(id),
                points: *points,
                amount: money(*micros),
                messages: *messages,
            })
            .collect()
    }

    fn messages(&self) -> Vec<MessageTotal> {
        self.messages
            .iter()
            .map(|(kind, count, micros)| MessageTotal {
                kind: LineKind::new(kind),
                count: *count,
                amount: money(*micros),
            })
            .collect()
    }

    fn payment(&self, micros: i64) -> Payment {
        Payment {
            instruction: Some(format!("c1-{}", self.merchant)),
            counterparty: Counterparty::Hub,
            amount: money(micros),
            state: Some(LineKind::new("PENDING")),
            due_on: Some("2026-04-07".parse().unwrap()),
            reference: Some(format!("HANSA 1 {}", self.merchant)),
            account: Some(if micros < 0 {
                account(self.merchant)
            } else {
                BankAccount {
                    holder: "Hanse Alliance".into(),
                    number: "DE02120300000000202051".into(),
                    bic: Some("BYLADEM1001".into()),
                }
            }),
        }
    }
}

fn line((kind, counterparty, count, points, micros): &Line) -> StatementLine {
    StatementLine {
        kind: LineKind::new(kind),
        counterparty: counterparty.map(party),
        late: false,
        information: *micros == 0,
        count: *count,
        points: *points,
        amount: money(*micros),
    }
}

fn proof() -> Proof {
    let checkpoint = |at, size, byte| CheckpointRef {
        at: LineKind::new(at),
        size,
        root: Digest([byte; 32]),
        note: format!("hansa.example/log\n{size}\n(root and signature)\n"),
    };
    let consistency = |from, to, byte| ConsistencyProof {
        from,
        to,
        hashes: vec![Digest([byte; 32])],
    };
    Proof {
        opening_cut_leaf: Some(10),
        cut_leaf: 27,
        closed_leaf: 30,
        messages: 12,
        cycle_digest: Digest([0xc1; 32]),
        checkpoints: vec![
            checkpoint("OPENING_CUT", 11, 0x0a),
            checkpoint("CUT", 28, 0x1b),
            checkpoint("CLOSED", 31, 0x2c),
        ],
        consistency: vec![consistency(11, 28, 0x3d), consistency(28, 31, 0x4e)],
        hub_key_id: "c7cff2f61909c180".into(),
    }
}

/// Messages and events behind A's lines in ISSUE mode.
pub(crate) fn drill_down_of_issue_a() -> Vec<MessageRow> {
    let row = |leaf, byte: u8, kind, time, line, points, micros| MessageRow {
        leaf,
        position: 0,
        message: Some(MessageId([byte; 16])),
        kind: LineKind::new(kind),
        event_time: at(time),
        line: LineKind::new(line),
        counterparty: None,
        late: false,
        points,
        amount: money(micros),
    };
    let (e1, e5) = ("2026-03-02T09:00:00Z", "2026-03-09T09:01:00Z");
    let (e8, e9) = ("2026-03-26T10:00:00Z", "2026-03-27T10:00:00Z");
    let (recovered, reversal) = ("REVERSAL_RECOVERED", "ACCRUAL_REVERSAL");
    vec![
        row(12, 1, "ACCRUAL", e1, "BASE_ACCRUAL", 1_509, 14_373_225),
        row(
            18,
            5,
            "REDEMPTION_CAPTURE",
            e5,
            "REDEMPTION",
            2_000,
            -15_600_000,
        ),
        row(22, 8, reversal, e8, recovered, 177, -1_416_000),
        row(22, 8, reversal, e8, "REVERSAL_CLAIMED", 340, 0),
        row(22, 8, reversal, e8, "DEBT_OPENED", 163, 0),
        row(23, 9, "ACCRUAL", e9, recovered, 100, -800_000),
        row(23, 9, "ACCRUAL", e9, "DEBT_SETTLED", 100, 0),
    ]
}

/// A cycle in which the merchant did nothing, still open.
pub(crate) fn quiet() -> StatementParts {
    let mut parts = Golden::of("issue-t").parts();
    parts.state = CycleState::Open;
    parts.period.closes_at = None;
    parts.brought_forward = money(-2_010);
    parts.opening = vec![OpeningItem {
        cause: LineKind::new("RESIDUE"),
        reference: "cycle 1".into(),
        amount: money(-2_010),
    }];
    parts.carried_forward = money(-2_010);
    parts.net = Amount::ZERO;
    parts.proof = None;
    parts.lines.clear();
    parts.promotions.clear();
    parts.fees.clear();
    parts.bilateral.clear();
    parts.messages.clear();
    parts.payments.clear();
    parts
}

/// A statement over many pages: 200 counterparties with long names in several scripts, late lines, large and zero amounts,
/// adjustments, holdbacks, several payments.
pub(crate) fn long() -> StatementParts {
    let mut parts = Golden::of("burn-f").parts();
    let names = [
        "Vereinigte Handelsgesellschaft der norddeutschen Bäckereien und Konditoreien mbH & Co. KG",
        "Донаудампфшиффартсгезельшафтскапитэнсмютценфабрик ООО «Щука» (Ґданськ)",
        "Αρτοποιεία Βορείου Ελλάδος Α.Ε.",
        "Ærø Bådværft ApS",
        "საცხობი თბილისი შპს",
        "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch Stores Ltd",
        "Հացատուն ՍՊԸ",
    ];
    for at in 0..200_u64 {
        let micros = i64::try_from(at % 17).unwrap() * 123_456_789_012 - 900_000_000_000;
        let counterparty = Counterparty::Merchant {
            id: format!("m{at:03}"),
            name: format!("{} {at}", names[usize::try_from(at % 7).unwrap()]),
        };
        parts.lines.push(StatementLine {
            kind: LineKind::new("POINTS_CONSUMED"),
            counterparty: Some(counterparty.clone()),
            late: at % 10 == 3,
            information: false,
            count: at * at,
            points: i64::try_from(at * 1_234_567).unwrap(),
            amount: money(if at % 50 == 0 { 0 } else { micros }),
        });
        parts.bilateral.push(BilateralNet {
            counterparty,
            points: 0,
            amount: money(if at % 50 == 0 { 0 } else { micros }),
            messages: at,
        });
    }
    parts.lines.push(StatementLine {
        information: true,
        amount: Amount::ZERO,
        kind: LineKind::new("REVERSAL_CLAIMED"),
        ..parts.lines[0].clone()
    });
    parts.messages.clear();
    parts.lines.push(StatementLine {
        kind: LineKind::new("ADJUSTMENT"),
        counterparty: Some(party("A")),
        late: false,
        information: false,
        count: 1,
        points: -10,
        amount: money(-80_000),
    });
    parts.bilateral[0].amount = money(parts.bilateral[0].amount.micros() - 80_000);
    parts.net = Amount::sum(parts.lines.iter().map(|line| line.amount)).unwrap();
    let approval = |by: &str| Approval {
        by: by.into(),
        at: at("2026-03-30T09:00:00Z"),
    };
    parts.adjustments.push(Adjustment {
        id: "adj-2026-0017".into(),
        reason: LineKind::new("DISPUTE_ACCEPTED"),
        note: "Terminal 4 counted twice on 14 February".into(),
        original: OriginalRef {
            cycle: 0,
            line: Some(LineKind::new("POINTS_CONSUMED")),
            message: Some(MessageId([0xab; 16])),
            leaf: Some(4_711),
        },
        counterparty: Some(party("A")),
        points: -10,
        amount: money(-80_000),
        approvals: [approval("ida.petersen"), approval("jo.lindqvist")],
    });
    parts.holdbacks.push(Holdback {
        id: "hold-1".into(),
        reason: LineKind::new("FRAUD_RESERVE"),
        amount: money(30_000),
        release_on: Some("2026-06-30".parse().unwrap()),
    });
    parts.payments.push(Payment {
        counterparty: party("T"),
        amount: money(-4_200_000),
        account: Some(account("F")),
        ..parts.payments[0].clone()
    });
    let paid = Amount::sum(parts.payments.iter().map(|p| p.amount)).unwrap();
    parts.carried_forward = money(parts.net.micros() + 30_000 - paid.micros());
    parts
}
