//! What finance does in a test: facts that must be accepted, or are refused and change nothing; settlements and bank reports from end to end.

use super::{Step, World, contract, programme};
use hansa_settlement::finance::{
    Action, Actor, Adjustment, AdjustmentReason, BankEntry, BankMatch, BankReportFormat,
    BankStatus, FinanceFact, FinanceRefusal, NettingMethod, NewException, OriginalReference, Party,
    PaymentInstruction, PaymentState, ReportFact, SettleCycle,
};
use hansa_settlement::*;
use sha2::{Digest, Sha256};

/// Who proposes.
pub const MAKER: &str = "Mara";
/// Who approves.
pub const CHECKER: &str = "Chidi";

impl World {
    /// SHA-256 of a cycle's canonical bytes.
    pub fn digest(&self, cycle: CycleNo) -> [u8; 32] {
        Sha256::digest(self.global.cycle(cycle).unwrap().canonical_bytes()).into()
    }

    pub fn try_finance(&mut self, fact: FinanceFact) -> Result<(), FinanceRefusal> {
        let ctx = Context {
            decided_at: self.now,
            pos: self.next_pos(),
        };
        let before = self.global.snapshot();
        assert_eq!(
            self.global.validate_finance(&fact, &ctx).err(),
            self.global.clone().apply_finance(&fact, &ctx).err()
        );
        let result = self.global.apply_finance(&fact, &ctx);
        if result.is_err() {
            assert_eq!(self.global.snapshot(), before, "a refused fact: {fact:?}");
        } else {
            self.log.push(Step::Finance(fact, ctx));
        }
        self.check();
        result
    }

    pub fn finance(&mut self, fact: FinanceFact) {
        self.try_finance(fact.clone())
            .unwrap_or_else(|e| panic!("{fact:?}: {e}"));
    }

    /// The auditor agrees with a cycle.
    pub fn audit(&mut self, cycle: u32) {
        let cycle = CycleNo(cycle);
        self.finance(FinanceFact::CycleAudited {
            cycle,
            digest: self.digest(cycle),
            audited_size: self.seq,
        });
    }

    /// Mara proposes.
    pub fn try_propose(&mut self, action: Action) -> Result<ProposalNo, FinanceRefusal> {
        let proposal = self.global.finance().next_proposal();
        self.try_finance(FinanceFact::ProposalMade {
            proposal,
            action,
            reason: "month end".into(),
            actor: Actor::new(MAKER),
        })?;
        Ok(proposal)
    }

    pub fn propose(&mut self, action: Action) -> ProposalNo {
        self.try_propose(action.clone())
            .unwrap_or_else(|e| panic!("{action:?}: {e}"))
    }

    /// Chidi decides.
    pub fn try_approve(&mut self, proposal: ProposalNo) -> Result<(), FinanceRefusal> {
        self.try_finance(FinanceFact::ProposalDecided {
            proposal,
            approved: true,
            reason: "checked".into(),
            actor: Actor::new(CHECKER),
        })
    }

    /// Proposed by one and approved by the other.
    pub fn try_carry_out(&mut self, action: Action) -> Result<ProposalNo, FinanceRefusal> {
        let proposal = self.try_propose(action)?;
        self.try_approve(proposal)?;
        Ok(proposal)
    }

    pub fn carry_out(&mut self, action: Action) -> ProposalNo {
        self.try_carry_out(action.clone())
            .unwrap_or_else(|e| panic!("{action:?}: {e}"))
    }

    /// An audited cycle's settlement is proposed and approved.
    pub fn settle(&mut self, settle: SettleCycle) -> ProposalNo {
        self.audit(settle.cycle.0);
        self.carry_out(Action::SettleCycle(settle))
    }

    /// The default settlement of a cycle.
    pub fn settle_plainly(&mut self, cycle: u32) -> ProposalNo {
        self.settle(SettleCycle::new(
            CycleNo(cycle),
            NettingMethod::Multilateral,
        ))
    }

    /// Payments of a cycle in a state.
    pub fn payments_in(&self, cycle: u32, state: PaymentState) -> Vec<PaymentNo> {
        let payments = self.global.finance().payments().iter();
        payments
            .filter(|p| p.cycle == CycleNo(cycle) && p.state == state)
            .map(|p| p.number)
            .collect()
    }

    /// Every PENDING payment of a cycle goes to the bank.
    pub fn submit(&mut self, cycle: u32) -> Vec<PaymentNo> {
        let payments = self.payments_in(cycle, PaymentState::Pending);
        self.finance(FinanceFact::PaymentsSubmitted {
            payments: payments.clone(),
            file_sha256: Some([7; 32]),
            actor: Actor::new(MAKER),
        });
        payments
    }

    /// A bank report that matches each payment with an entry of its own.
    pub fn confirming(&self, payments: &[PaymentNo]) -> ReportFact {
        let mut report = self.report();
        for (number, payment) in (1..).zip(payments) {
            let payment = self.global.finance().payment(*payment).unwrap();
            let out = payment.payer == Party::Hub;
            report.entries.push(BankEntry {
                number,
                amount_micros: if out {
                    -payment.amount_micros
                } else {
                    payment.amount_micros
                },
                bank_reference: format!("B{}", payment.number),
                is_return: false,
                reason: String::new(),
            });
            report.matches.push(BankMatch {
                payments: vec![payment.number],
                entries: vec![number],
                is_return: false,
            });
        }
        report
    }

    /// An empty report of the hub's account.
    pub fn report(&self) -> ReportFact {
        let number = self.global.finance().next_report();
        let mut sha256 = [0; 32];
        sha256[..4].copy_from_slice(&number.0.to_be_bytes());
        ReportFact {
            number,
            format: BankReportFormat::Camt053,
            file_name: format!("statement-{number}.xml"),
            sha256,
            message_id: format!("M{number}"),
            account: "DE02 1203 0000 0000 2020 51".into(),
            opening_micros: None,
            closing_micros: None,
            entries: Vec::new(),
            statuses: Vec::new(),
            matches: Vec::new(),
            exceptions: Vec::new(),
        }
    }

    pub fn try_import(&mut self, report: ReportFact) -> Result<ReportNo, FinanceRefusal> {
        let number = report.number;
        self.try_finance(FinanceFact::BankReportImported {
            report: Box::new(report),
            actor: Actor::new(MAKER),
        })?;
        Ok(number)
    }

    pub fn import(&mut self, report: ReportFact) -> ReportNo {
        self.try_import(report).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The bank confirms payments, and two people post it.
    pub fn confirm(&mut self, payments: &[PaymentNo]) {
        if !payments.is_empty() {
            let report = self.import(self.confirming(payments));
            self.carry_out(Action::PostReconciliation { report });
        }
    }

    /// From CLOSED to SETTLED with every payment confirmed.
    pub fn settle_and_pay(&mut self, cycle: u32) {
        self.settle_plainly(cycle);
        if !self.payments_in(cycle, PaymentState::Pending).is_empty() {
            let payments = self.submit(cycle);
            self.confirm(&payments);
        }
        assert_eq!(self.state(cycle), CycleState::Settled);
    }

    /// A payment that no account of the hub sees is confirmed by the word of two people.
    pub fn confirm_between_merchants(&mut self, payment: PaymentNo) {
        let exception = self.global.finance().next_exception();
        let mut report = self.report();
        report.exceptions.push(NewException {
            number: exception,
            entry: None,
            payment: Some(payment),
            description: "paid between merchants".into(),
            differences: Vec::new(),
        });
        self.import(report);
        self.carry_out(Action::MatchException {
            exception,
            payments: vec![payment],
        });
    }

    /// An alliance of A, F and T whose cycles close by hand.
    pub fn by_hand(change: impl Fn(&mut ContractTerms)) -> Self {
        let terms = programme(ExpiryRule::RollingMonths(36), NegativeBalance::Debt);
        let mut world = Self::new(terms, "2026-01-31T23:00:00Z", CycleSchedule::Manual);
        for slug in ["a", "f", "t"] {
            let mut terms = contract(FundingMode::Burn, 1_500);
            terms.dispute_days = 14;
            change(&mut terms);
            world.merchant(slug, terms);
        }
        world
    }

    /// An adjustment against the hub.
    pub fn adjustment(merchant: MerchantIx, amount_micros: i64) -> Adjustment {
        Adjustment {
            merchant,
            counterparty: Party::Hub,
            amount_micros,
            reason: AdjustmentReason::Goodwill,
            original: OriginalReference::default(),
            dispute: None,
            exception: None,
            query: None,
        }
    }

    /// A merchant comes to owe (or to be owed) something in the open cycle.
    pub fn owe(&mut self, merchant: MerchantIx, micros: i64) {
        self.carry_out(Action::Adjustment(Self::adjustment(merchant, micros)));
    }

    /// Cuts the open cycle a day later by hand, and closes it.
    pub fn close_cycle(&mut self) -> u32 {
        let cycle = self.global.open_cycle().no;
        self.now = self.now.plus_seconds(86_400);
        self.fact(Fact::CycleCut {
            closes_at: self.now,
        });
        let digest = self.digest(cycle);
        self.fact(Fact::CycleClosed { cycle, digest });
        cycle.0
    }

    /// A closed and audited cycle in which merchants owe the hub these amounts.
    pub fn cycle_of(&mut self, nets: &[(MerchantIx, i64)]) -> u32 {
        for (merchant, micros) in nets {
            self.owe(*merchant, *micros);
        }
        let cycle = self.close_cycle();
        self.audit(cycle);
        cycle
    }

    /// A settlement of an audited cycle, proposed and approved.
    pub fn approved(&mut self, settle: SettleCycle) -> ProposalNo {
        self.carry_out(Action::SettleCycle(settle))
    }

    /// A bank's status of one payment.
    pub fn status(&self, payment: PaymentNo, state: PaymentState) -> ReportFact {
        let mut report = self.report();
        report.format = BankReportFormat::Pain002;
        report.account.clear();
        report.statuses.push(BankStatus {
            payment,
            state,
            reason: "RJCT/AC04".into(),
        });
        report
    }

    /// A bank report that gives payments back.
    pub fn returning(&self, payments: &[PaymentNo]) -> ReportFact {
        let mut report = self.confirming(payments);
        for entry in &mut report.entries {
            entry.amount_micros = -entry.amount_micros;
            entry.is_return = true;
            entry.bank_reference = format!("R{}", entry.number);
            entry.reason = "AC04".into();
        }
        report.matches.iter_mut().for_each(|m| m.is_return = true);
        report
    }

    pub fn payment(&self, payment: u32) -> &PaymentInstruction {
        self.global.finance().payment(PaymentNo(payment)).unwrap()
    }

    pub fn carried(&self, merchant: MerchantIx) -> i128 {
        self.global.finance().carry(merchant)
    }

    pub fn position(&self, cycle: u32, merchant: MerchantIx) -> Payment {
        statement(&self.global, CycleNo(cycle), merchant)
            .unwrap()
            .payment
    }

    pub fn state(&self, cycle: u32) -> CycleState {
        self.global.cycle(CycleNo(cycle)).unwrap().state
    }
}
