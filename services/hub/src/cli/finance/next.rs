//! What a clerk does next: one line for each thing that waits, with the command.

use std::fmt::Write as _;

use hansa_proto::v1::{self, PaymentState, action::Action as A};

/// Numbers after a word: `1, 2 and 3`.
fn listed(numbers: &[u64]) -> String {
    let words: Vec<String> = numbers.iter().map(u64::to_string).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What can be done about payments in the states that wait for finance.
pub(super) fn of_payments(payments: &[v1::Payment]) -> String {
    let mut text = String::new();
    for payment in payments {
        let number = payment.payment_number;
        match payment.state() {
            PaymentState::Rejected | PaymentState::Returned => {
                let _ = writeln!(
                    text,
                    "Payment {number} did not arrive: hansa finance propose reinstruct {number} --reason TEXT pays it again, \
                     carry-forward {number} brings it forward."
                );
            }
            PaymentState::Pending if payment.replaces_payment_number != 0 => {
                text += &of_reinstructed(payment);
            }
            PaymentState::Pending => {
                let line = of_pending(payment);
                if !text.contains(&line) {
                    text += &line;
                }
            }
            PaymentState::Unspecified
            | PaymentState::Submitted
            | PaymentState::Accepted
            | PaymentState::Settled
            | PaymentState::CarriedForward
            | PaymentState::Reinstructed => {}
        }
    }
    text
}

/// What to do with a payment of a settlement; the same for all of one payer.
fn of_pending(payment: &v1::Payment) -> String {
    let cycle = payment.cycle_number;
    match payment.payer_merchant_id.as_str() {
        "" => format!(
            "The hub is to pay: hansa finance payment-file {cycle} --out FILE, hand it to the bank, then hansa finance submit \
             {cycle}.\n"
        ),
        payer => format!(
            "{payer} is to pay (its file: hansa finance payment-file {cycle} --payer {payer}); submit records that it was asked.\n"
        ),
    }
}

/// What to do with a payment that is instructed again.
fn of_reinstructed(payment: &v1::Payment) -> String {
    let (number, cycle) = (payment.payment_number, payment.cycle_number);
    let again = format!(
        "Payment {number} takes the place of payment {}",
        payment.replaces_payment_number
    );
    match payment.payer_merchant_id.as_str() {
        "" => format!(
            "{again}: hansa finance payment-file {cycle} --payment {number} --out FILE, hand it to the bank, then hansa finance \
             submit {cycle}.\n"
        ),
        payer => format!("{again}: ask {payer} for it, then hansa finance submit {cycle}.\n"),
    }
}

/// What to do about open exceptions.
pub(super) fn of_exceptions(exceptions: &[v1::ReconciliationException]) -> String {
    let open: Vec<u64> = exceptions
        .iter()
        .filter(|exception| exception.state() == v1::ExceptionState::Open)
        .map(|exception| exception.exception_number)
        .collect();
    match open.as_slice() {
        [] => String::new(),
        [first, ..] => format!(
            "Open: exception {}. hansa finance explain {first} --reason TEXT where no money hangs on it; propose match {first} \
             PAYMENT... where it confirms payments; propose adjust MERCHANT AMOUNT --because reconciliation --exception {first} \
             where a merchant bears it.\n",
            listed(&open)
        ),
    }
}

/// What to do about a bank report.
pub(super) fn of_report(report: &v1::BankReport) -> String {
    let mut text = String::new();
    if !report.posted && !report.matches.is_empty() {
        let _ = writeln!(
            text,
            "No money has moved. Post what fits: hansa finance propose post-reconciliation {} --reason TEXT",
            report.report_number
        );
    }
    for status in &report.statuses {
        if status.state() == PaymentState::Rejected {
            let number = status.payment_number;
            let _ = writeln!(
                text,
                "The bank refused payment {number}: hansa finance propose reinstruct {number} --reason TEXT pays it again, \
                 carry-forward {number} brings it forward."
            );
        }
    }
    text + &of_exceptions(&report.exceptions)
}

/// What follows an approved step. `waiting`: the pending payments that it instructed.
pub(super) fn of_approved(proposal: &v1::Proposal, waiting: &[v1::Payment]) -> String {
    let action = proposal.action.as_ref().and_then(|a| a.action.as_ref());
    match action {
        Some(A::SettleCycle(settlement)) if waiting.is_empty() => format!(
            "Nothing is left to pay: hansa cycle show {} tells where it stands.\n",
            settlement.cycle_number
        ),
        Some(A::SettleCycle(_) | A::ReinstructPayment(_)) => of_payments(waiting),
        Some(A::PostReconciliation(_) | A::MatchException(_)) => {
            "hansa finance payments shows where the payments stand, hansa finance exceptions --state open what is left.\n"
                .to_owned()
        }
        Some(A::Adjustment(adjustment)) => format!(
            "It stands in the open cycle: hansa statement --merchant {}\n",
            adjustment.merchant_id
        ),
        Some(
            A::AbortSettlement(_) | A::CarryForwardPayment(_) | A::ReleaseHoldback(_),
        ) => "It is brought forward: the next settlement takes it in.\n".to_owned(),
        Some(A::DeclareDefault(_) | A::PrepaidPack(_) | A::PrefundPoints(_)) | None => String::new(),
    }
}

/// What either side of a dispute may do.
pub(crate) fn of_dispute(dispute: &v1::Dispute) -> String {
    use v1::DisputeState as D;
    let number = dispute.dispute_number;
    let remedy = match dispute.proposal_number {
        0 => String::new(),
        proposal => format!(
            "Its adjustment is proposal {proposal}; while it is pending, another person decides: hansa finance approve {proposal} \
             --reason TEXT, or reject.\n"
        ),
    };
    match dispute.state() {
        D::Raised => format!(
            "Finance answers: hansa dispute answer {number} --accept --reason TEXT, or --reject.\n"
        ),
        D::Rejected => {
            format!("The merchant may go on: hansa dispute escalate {number} --text TEXT\n")
        }
        D::Escalated => {
            let but = match dispute.answered_by.as_str() {
                "" => String::new(),
                person => format!(" other than {person}"),
            };
            format!(
                "A person of finance{but} rules: hansa dispute rule {number} --uphold --reason TEXT, or --dismiss.\n"
            )
        }
        D::Lapsed if dispute.answered_by.is_empty() => format!(
            "Nobody answered in time: hansa dispute escalate {number} --text TEXT (the merchant), or finance answers late.\n"
        ),
        D::Lapsed => "It was not escalated in time: the rejection stands.\n".to_owned(),
        D::Accepted | D::Ruled | D::Unspecified => remedy,
    }
}

/// Who decides what is proposed.
pub(super) fn of_proposed(proposal: &v1::Proposal) -> String {
    let number = proposal.proposal_number;
    if proposal.state() == v1::ProposalState::Pending {
        format!(
            "Another person decides: hansa finance approve {number} --reason TEXT, or reject.\n"
        )
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(number: u64, state: PaymentState) -> v1::Payment {
        v1::Payment {
            payment_number: number,
            cycle_number: 3,
            state: state.into(),
            ..v1::Payment::default()
        }
    }

    #[test]
    fn each_payment_that_waits_has_its_command() {
        let again = v1::Payment {
            replaces_payment_number: 1,
            ..payment(4, PaymentState::Pending)
        };
        let text = of_payments(&[
            payment(1, PaymentState::Returned),
            payment(2, PaymentState::Pending),
            payment(3, PaymentState::Pending),
            again.clone(),
            payment(5, PaymentState::Settled),
        ]);
        let commands: Vec<&str> = text.lines().collect();
        assert_eq!(commands.len(), 3, "{text}");
        assert!(commands[0].contains("propose reinstruct 1"), "{text}");
        assert!(commands[1].contains("payment-file 3 --out"), "{text}");
        assert!(commands[2].contains("payment-file 3 --payment 4"), "{text}");
        let asked = v1::Payment {
            payer_merchant_id: "bakery".into(),
            ..again
        };
        assert!(of_payments(std::slice::from_ref(&asked)).contains("ask bakery for it"));
        let own = v1::Payment {
            replaces_payment_number: 0,
            ..asked
        };
        assert!(of_payments(&[own]).contains("payment-file 3 --payer bakery"));
        assert_eq!(of_payments(&[payment(5, PaymentState::Settled)]), "");
    }

    #[test]
    fn open_exceptions_and_refused_payments_have_theirs() {
        let exception = |number, state: v1::ExceptionState| v1::ReconciliationException {
            exception_number: number,
            state: state.into(),
            ..v1::ReconciliationException::default()
        };
        let report = v1::BankReport {
            report_number: 2,
            statuses: vec![v1::BankStatus {
                payment_number: 7,
                state: PaymentState::Rejected.into(),
                ..v1::BankStatus::default()
            }],
            exceptions: vec![
                exception(4, v1::ExceptionState::Open),
                exception(5, v1::ExceptionState::Explained),
                exception(6, v1::ExceptionState::Open),
            ],
            ..v1::BankReport::default()
        };
        let text = of_report(&report);
        for part in [
            "propose reinstruct 7",
            "exception 4 and 6",
            "hansa finance explain 4",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert_eq!(listed(&[1, 2, 3]), "1, 2 and 3");
        assert_eq!(of_report(&v1::BankReport::default()), "");
    }

    #[test]
    fn a_dispute_tells_whose_turn_it_is() {
        let dispute = |state: v1::DisputeState, answered_by: &str| v1::Dispute {
            dispute_number: 9,
            state: state.into(),
            answered_by: answered_by.into(),
            ..v1::Dispute::default()
        };
        for (state, answered_by, part) in [
            (v1::DisputeState::Raised, "", "dispute answer 9"),
            (v1::DisputeState::Rejected, "ana", "dispute escalate 9"),
            (v1::DisputeState::Escalated, "ana", "other than ana rules"),
            (v1::DisputeState::Lapsed, "", "dispute escalate 9"),
            (v1::DisputeState::Lapsed, "ana", "the rejection stands"),
        ] {
            let text = of_dispute(&dispute(state, answered_by));
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
