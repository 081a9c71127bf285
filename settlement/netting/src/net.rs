//! One run: obligations in, what is cleared and what remains to be paid out.

use crate::{
    bilateral,
    book::{Book, Survey},
    certificate::{Certificate, Potential},
    cycle::circulation,
    liquidity::liquidity,
    method::Method,
    obligation::{NettingError, Obligation, Party, Payment, Position},
    quantity::Quantity,
    transfers,
};

/// What a programme may choose beside the method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// CYCLE_CLEARING: clear what two members owe each other before any longer cycle. It clears less, up to 4 % of the
    /// optimum, but a member can follow it with its counterparty alone. Other methods give the same result with it.
    pub bilateral_first: bool,
}

/// The result of a run. The same obligations give the same result, byte for byte; the order in which they are listed counts
/// as age between the same two members, and for nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netting {
    /// How it was computed.
    pub method: Method,
    /// All obligations, in minor units.
    pub gross: i128,
    /// The sum of what net debtors are to pay: the least that any method can leave to be paid.
    pub net_internal_debt: i128,
    /// Net positions, members ascending. No method changes them.
    pub positions: Vec<Position>,
    /// Of each obligation, how much is no longer owed as such: set off, or replaced by `payments` (MULTILATERAL,
    /// MIN_TRANSFERS). The rest is paid between the same two. Between the same two, older obligations are cleared first.
    pub cleared: Vec<i64>,
    /// What remains to be paid, by payer and payee; at most one payment for these two.
    pub payments: Vec<Payment>,
    /// How many payments are between two that had no obligation in this direction.
    pub new_relations: usize,
    /// CYCLE_CLEARING: the proof that no circulation clears more.
    pub certificate: Option<Certificate>,
}

impl Netting {
    /// What members have to pay. What the hub passes on is not counted again.
    #[must_use]
    pub fn to_pay(&self) -> i128 {
        let by_members = self
            .payments
            .iter()
            .filter(|payment| payment.payer != Party::Hub);
        by_members.map(|payment| payment.amount).sum()
    }

    /// How much less is to be paid than is owed.
    #[must_use]
    pub fn set_off(&self) -> i128 {
        self.gross - self.to_pay()
    }
}

/// One method beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The method.
    pub method: Method,
    /// Value that members have to pay, in minor units.
    pub to_pay: i128,
    /// Number of payments.
    pub payments: usize,
    /// Payments between two that had no obligation in this direction.
    pub new_relations: usize,
    /// Money that must be brought so that the payments can be made; see [`liquidity`].
    pub liquidity: i128,
}

/// Runs a method over the obligations of one currency.
///
/// # Errors
/// A negative amount; too many obligations; [`Method::ClearingVector`], which needs what each member has: see
/// [`crate::clearing_vector`].
pub fn net(
    obligations: &[Obligation],
    method: Method,
    policy: Policy,
) -> Result<Netting, NettingError> {
    let survey = Survey::of(obligations)?;
    if survey.is_narrow() {
        run(
            &Book::<i64>::of(obligations, &survey),
            obligations,
            method,
            policy,
        )
    } else {
        run(
            &Book::<i128>::of(obligations, &survey),
            obligations,
            method,
            policy,
        )
    }
}

/// Runs every method that needs nothing but obligations, in the order of [`Method::ALL`].
///
/// # Errors
/// As [`net`].
pub fn compare(
    obligations: &[Obligation],
    policy: Policy,
) -> Result<Vec<Comparison>, NettingError> {
    let survey = Survey::of(obligations)?;
    if survey.is_narrow() {
        compare_in(&Book::<i64>::of(obligations, &survey), obligations, policy)
    } else {
        compare_in(&Book::<i128>::of(obligations, &survey), obligations, policy)
    }
}

/// The obligations that a member has no part in: what a run without it is run over.
#[must_use]
pub fn without(obligations: &[Obligation], member: u32) -> Vec<Obligation> {
    let others = obligations
        .iter()
        .filter(|o| o.debtor != member && o.creditor != member);
    others.copied().collect()
}

fn compare_in<T: Quantity>(
    book: &Book<T>,
    obligations: &[Obligation],
    policy: Policy,
) -> Result<Vec<Comparison>, NettingError> {
    let methods = Method::ALL.into_iter();
    methods
        .filter(|method| *method != Method::ClearingVector)
        .map(|method| {
            let netting = run(book, obligations, method, policy)?;
            Ok(Comparison {
                method,
                to_pay: netting.to_pay(),
                payments: netting.payments.len(),
                new_relations: netting.new_relations,
                liquidity: liquidity(&netting.payments),
            })
        })
        .collect()
}

/// What a method makes of the pairs.
enum Outcome<T> {
    /// Of each pair, how much is cleared; the rest is paid.
    Cleared(Vec<T>),
    /// The pairs are replaced.
    Replaced(Vec<Payment>),
}

fn run<T: Quantity>(
    book: &Book<T>,
    obligations: &[Obligation],
    method: Method,
    policy: Policy,
) -> Result<Netting, NettingError> {
    let nets = book.positions();
    let mut certificate = None;
    let outcome = match method {
        Method::Gross => Outcome::Cleared(vec![T::ZERO; book.amount.len()]),
        Method::Bilateral => Outcome::Cleared(bilateral::set_off(book)),
        Method::CycleClearing => {
            let (cleared, proof) = clear_cycles(book, obligations, policy);
            certificate = Some(proof);
            Outcome::Cleared(cleared)
        }
        Method::Multilateral => Outcome::Replaced(through_the_hub(book, &nets)),
        Method::MinTransfers => Outcome::Replaced(transfers::payments(&book.members, &nets)),
        Method::ClearingVector => return Err(NettingError::NeedsEndowments),
    };
    let (cleared, payments) = match outcome {
        Outcome::Cleared(cleared) => (book.split(&cleared, obligations), remainder(book, &cleared)),
        Outcome::Replaced(payments) => (obligations.iter().map(|o| o.amount).collect(), payments),
    };
    let positions = book.members.iter().zip(&nets);
    let gross = book.amount.iter().map(|amount| (*amount).into());
    let debts = nets.iter().filter(|net| **net < T::ZERO);
    Ok(Netting {
        method,
        gross: gross.sum(),
        net_internal_debt: -debts.map(|net| (*net).into()).sum::<i128>(),
        positions: positions
            .map(|(member, net)| Position {
                member: *member,
                net: (*net).into(),
            })
            .collect(),
        cleared,
        new_relations: payments
            .iter()
            .filter(|payment| is_new(book, payment))
            .count(),
        payments,
        certificate,
    })
}

fn clear_cycles<T: Quantity>(
    book: &Book<T>,
    obligations: &[Obligation],
    policy: Policy,
) -> (Vec<T>, Certificate) {
    let mut first = vec![];
    let (cleared, potential) = if policy.bilateral_first {
        let pairwise = bilateral::set_off(book);
        first = book.split(&pairwise, obligations);
        let left: Vec<T> = book
            .amount
            .iter()
            .zip(&pairwise)
            .map(|(amount, cleared)| *amount - *cleared)
            .collect();
        let found = circulation(book, &left);
        let both = pairwise.iter().zip(&found.cleared);
        (both.map(|(a, b)| *a + *b).collect(), found.potential)
    } else {
        let found = circulation(book, &book.amount);
        (found.cleared, found.potential)
    };
    let potentials = book.members.iter().zip(potential);
    let certificate = Certificate {
        potentials: potentials
            .map(|(member, level)| Potential {
                member: *member,
                level,
            })
            .collect(),
        first,
    };
    (cleared, certificate)
}

fn remainder<T: Quantity>(book: &Book<T>, cleared: &[T]) -> Vec<Payment> {
    let left = book.amount.iter().zip(cleared);
    let mut payments =
        Vec::with_capacity(left.filter(|(amount, cleared)| amount > cleared).count());
    for (debtor, creditor, pair) in book.pairs() {
        let left = book.amount[pair] - cleared[pair];
        if left > T::ZERO {
            payments.push(Payment {
                payer: Party::Member(book.members[debtor as usize]),
                payee: Party::Member(book.members[creditor as usize]),
                amount: left.into(),
            });
        }
    }
    payments
}

fn through_the_hub<T: Quantity>(book: &Book<T>, nets: &[T]) -> Vec<Payment> {
    let nets = book.members.iter().zip(nets);
    let pay_ins = nets.clone().filter(|(_, net)| **net < T::ZERO);
    let pay_outs = nets.filter(|(_, net)| **net > T::ZERO);
    let pay_ins = pay_ins.map(|(member, net)| Payment {
        payer: Party::Member(*member),
        payee: Party::Hub,
        amount: (-*net).into(),
    });
    let pay_outs = pay_outs.map(|(member, net)| Payment {
        payer: Party::Hub,
        payee: Party::Member(*member),
        amount: (*net).into(),
    });
    pay_ins.chain(pay_outs).collect()
}

fn is_new<T: Quantity>(book: &Book<T>, payment: &Payment) -> bool {
    let index = |party| match party {
        Party::Member(id) => book.members.binary_search(&id).ok(),
        Party::Hub => None,
    };
    match (index(payment.payer), index(payment.payee)) {
        (Some(payer), Some(payee)) => book.pair(payer as u32, payee as u32).is_none(),
        _ => true,
    }
}
