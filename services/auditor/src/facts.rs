//! The hub's own facts: each is checked against what may stand there, and taken in.

use hansa_proto::v1::{self, fact::Fact as F};

use crate::{
    auditor::{Auditor, Certificate},
    books::Cycle,
    conversion, due,
    finding::{Mismatch, What},
    source::{Entry, MerchantNo},
    standing::Closed,
    terms::{State, micros},
};

/// Who the hub itself is among actors.
const HUB: &str = "hub";

/// Rules that this release knows.
const RULES_VERSION: u32 = 1;

/// Closing instants of cycles by hand lie where they were cut.
fn closes(cut: &v1::CycleCut, decided_at: i64) -> i64 {
    cut.closes_at.as_ref().map_or(decided_at, micros)
}

impl Auditor {
    /// Takes one fact in.
    pub(crate) fn fact(
        &mut self,
        entry: &Entry,
        position: u32,
        fact: &v1::Fact,
        (actor, alone): (&str, bool),
    ) -> Result<Option<Certificate>, Mismatch> {
        let Some(fact) = &fact.fact else {
            return Err(Mismatch::fact("a fact that this release knows", "another"));
        };
        let first = (entry.leaf, position) == (0, 0);
        if matches!(fact, F::Genesis(_)) != first {
            return Err(Mismatch::fact("genesis first, and only once", "not so"));
        }
        if !matches!(fact, F::CycleCut(_)) {
            self.not_past_close(entry.decided_at)?;
        }
        let decided_at = entry.decided_at;
        let small = &mut self.small;
        match fact {
            F::Genesis(genesis) => {
                if genesis.rules_version != RULES_VERSION {
                    return Err(Mismatch::fact(
                        format_args!("version {RULES_VERSION} of the rules"),
                        genesis.rules_version,
                    ));
                }
                small.origin.clone_from(&genesis.origin);
                small.keys.begin(genesis)?;
            }
            F::Programme(programme) => {
                if small.terms.take_programme(programme, decided_at)? {
                    let closes = self.next_close(decided_at)?;
                    let cycle = Cycle::new(1, decided_at, closes);
                    self.small.books.cycles.push_back(cycle);
                }
            }
            F::Merchant(merchant) => {
                let before = small.terms.by_slug.get(&merchant.merchant_id);
                let before = before.map(|number| small.terms.merchant(*number).map(|m| m.state));
                let before = before.transpose()?;
                let number = small.terms.take_merchant(merchant, decided_at)?;
                self.check_state(number, before)?;
            }
            F::Promotion(promotion) => small.terms.take_promotion(promotion)?,
            F::KeyRegistered(key) => {
                if !key.merchant_id.is_empty() {
                    small.terms.number(&key.merchant_id)?;
                }
                small.keys.register(key, decided_at)?;
            }
            F::KeyRevoked(revoked) => small.keys.revoke(&revoked.key_id)?,
            F::MembersEnrolled(enrolled) => self.enrol(enrolled)?,
            F::AdvanceTo(_) if !alone => {
                return Err(Mismatch::new(
                    What::DueWork,
                    "due work alone in its entry",
                    "not so",
                ));
            }
            F::AdvanceTo(advance) => self.advance(entry, advance)?,
            F::CycleCut(cut) => self.cut(entry, cut, actor)?,
            F::LogReopened(_) if !alone => {
                return Err(Mismatch::fact("a new name alone in its entry", "not so"));
            }
            F::LogReopened(reopened) => self.reopen(entry.leaf, reopened)?,
            F::CycleClosed(closed) => return self.close(entry, closed).map(Some),
            F::ProposalMade(made) => self.proposed(made)?,
            F::ProposalDecided(decided) => self.decided(decided)?,
            F::DisputeAnswered(answer) => {
                self.answered(&answer.holder, answer.adjustment.as_ref())?;
            }
            F::DisputeRuled(ruling) => self.answered(&ruling.holder, ruling.adjustment.as_ref())?,
            F::QueryRaised(raised) => self.query_raised(raised)?,
            F::QueryAnswered(answer) => {
                self.query_decided(answer.query_number, answer.remedy.as_ref(), None)?;
            }
            F::QueryRuled(ruling) => {
                let holder = Some(ruling.holder.as_str());
                self.query_decided(ruling.query_number, ruling.remedy.as_ref(), holder)?;
            }
            F::CycleAudited(audited) => self.audited(entry.leaf, audited)?,
            F::CommissionsDecided(decided) => self.review(entry, decided)?,
            // What is made of flags is in `CommissionsDecided`.
            F::FraudRun(_) | F::FraudDecided(_) => {}
            // Steps of finance that post nothing to a cycle.
            F::PaymentsSubmitted(_)
            | F::BankReportImported(_)
            | F::ExceptionExplained(_)
            | F::DisputeRaised(_)
            | F::DisputeEscalated(_)
            | F::QueryEscalated(_) => {}
        }
        Ok(None)
    }

    /// The log goes on under a name that it never had, from the first of the entries that are lost. What is signed from here on is
    /// signed for the new name.
    fn reopen(&mut self, leaf: u64, reopened: &v1::LogReopened) -> Result<(), Mismatch> {
        let small = &mut self.small;
        let name = &reopened.origin;
        if name.is_empty() || *name == small.origin || small.earlier_origins.contains(name) {
            let found = format!("\"{name}\"");
            return Err(Mismatch::fact("a name that the log never had", found));
        }
        // Name, number of leaves, root: the first lines of the note. Its signature is for `hansa verify`.
        let mut lines = reopened.lost_checkpoint.lines();
        let (of, size) = (lines.next(), lines.next().map(str::parse::<u64>));
        if of != Some(&small.origin) || !matches!(size, Some(Ok(size)) if size > leaf) {
            let expected = format!(
                "a checkpoint of \"{}\" over more than {leaf} entries",
                small.origin
            );
            return Err(Mismatch::fact(expected, format_args!("{of:?}, {size:?}")));
        }
        let before = std::mem::replace(&mut small.origin, name.clone());
        small.earlier_origins.push(before);
        Ok(())
    }

    /// The cut of a cycle stands before everything that is decided at or past its closing instant.
    pub(crate) fn not_past_close(&self, decided_at: i64) -> Result<(), Mismatch> {
        let open = self.small.books.cycles.back();
        match open.and_then(|cycle| cycle.closes) {
            Some(close) if close <= decided_at => Err(Mismatch::new(
                What::Cut,
                format_args!("a cut at {close} before an entry decided at {decided_at}"),
                "none",
            )),
            _ => Ok(()),
        }
    }

    fn next_close(&self, behind: i64) -> Result<Option<i64>, Mismatch> {
        Ok(self.small.terms.programme(behind)?.close_after(behind))
    }

    /// Rule 11: what a state may follow, and what CLOSED needs.
    fn check_state(&self, number: MerchantNo, before: Option<State>) -> Result<(), Mismatch> {
        let state = self.small.terms.merchant(number)?.state;
        let backwards = match before {
            Some(State::Closed) => state != State::Closed,
            Some(State::Onboarding) | None => false,
            Some(_) => {
                let left = self.small.books.standing.prefunded().contains(&number);
                state == State::Onboarding || (left && state == State::Active)
            }
        };
        if backwards {
            return Err(Mismatch::fact(
                format_args!("a state that may follow {before:?}"),
                format_args!("{state:?}"),
            ));
        }
        let open = self.small.books.standing.open_burn(number).0;
        if state == State::Closed && open != 0 {
            return Err(Mismatch::fact(
                "a closed merchant's points paid for",
                format_args!("{open} open points that are not"),
            ));
        }
        Ok(())
    }

    fn enrol(&mut self, enrolled: &v1::MembersEnrolled) -> Result<(), Mismatch> {
        let broken =
            |expected: String, found: String| Mismatch::new(What::Enrolment, expected, found);
        let merchant = self.small.terms.number(&enrolled.merchant_id)?;
        for enrolment in &enrolled.enrolments {
            let number = enrolment.member_number;
            let Ok(reference) = <[u8; 16]>::try_from(enrolment.member_reference.as_slice()) else {
                let found = format!("{} bytes", enrolment.member_reference.len());
                return Err(broken("a reference of 16 bytes".into(), found));
            };
            let last = self.small.members;
            if enrolment.alias_hash.is_empty() {
                if !(1..=last).contains(&number) {
                    return Err(broken(
                        format!("a member from 1 to {last}"),
                        number.to_string(),
                    ));
                }
            } else {
                if number != last + 1 {
                    return Err(broken(
                        format!("new member {}", last + 1),
                        number.to_string(),
                    ));
                }
                self.small.members = number;
            }
            if !self.memory.enrol((merchant, reference), number) {
                let found = format!("{}, which is taken", crate::seal::hex(&reference));
                return Err(broken("a new reference".into(), found));
            }
        }
        Ok(())
    }

    fn advance(&mut self, entry: &Entry, advance: &v1::AdvanceTo) -> Result<(), Mismatch> {
        let broken = |expected: &str, found: String| Mismatch::new(What::DueWork, expected, found);
        let until = advance.until.as_ref().map_or(i64::MIN, micros);
        if until > entry.decided_at {
            return Err(broken("work that is due by now", format!("until {until}")));
        }
        if !advance.member_numbers.is_sorted_by(|a, b| a < b) {
            return Err(broken("members in order", "not so".into()));
        }
        for (position, number) in (0..).zip(&advance.member_numbers) {
            let (before, any) = if conversion::is_number(*number) {
                self.advance_conversion(*number, until)?
            } else {
                self.advance_member(*number, until)?
            };
            if !any {
                let found = format!("{number}, next due at {before:?}");
                return Err(broken("a member or a conversion with due work", found));
            }
            self.keep_journal(position, true);
        }
        Ok(())
    }

    /// Does what is due of a member; answers when it was next due, and whether there was anything.
    fn advance_member(&mut self, number: u64, until: i64) -> Result<(Option<i64>, bool), Mismatch> {
        let small = &mut self.small;
        if !(1..=small.members).contains(&number) {
            return Err(Mismatch::new(What::DueWork, "an enrolled member", number));
        }
        let prefunded = small.books.standing.prefunded();
        let mut member = self.memory.take(number, prefunded);
        let before = member.next_due();
        let any = due::run(&small.terms, &mut small.books, &mut member, until)?;
        small.books.reschedule(before, member.next_due());
        self.memory.put(number, member);
        Ok((before, any))
    }

    /// The same of a conversion.
    fn advance_conversion(
        &mut self,
        number: u64,
        until: i64,
    ) -> Result<(Option<i64>, bool), Mismatch> {
        let Some(mut conversion) = self.memory.take_conversion(number) else {
            let expected = "an accepted conversion";
            return Err(Mismatch::new(What::DueWork, expected, number));
        };
        let books = &mut self.small.books;
        let before = conversion.next_due();
        let any = conversion.run(books, until)?;
        books.reschedule(before, conversion.next_due());
        self.memory.put_conversion(number, conversion);
        Ok((before, any))
    }

    fn cut(&mut self, entry: &Entry, cut: &v1::CycleCut, actor: &str) -> Result<(), Mismatch> {
        let open = self.small.books.open_cycle()?;
        let (number, scheduled) = (open.number, open.closes);
        let at = closes(cut, entry.decided_at);
        let by_schedule = scheduled == Some(at) && at <= entry.decided_at;
        let by_hand = actor != HUB
            && at == entry.decided_at
            && scheduled.is_none_or(|close| close > entry.decided_at);
        if cut.cycle_number != number || !(by_schedule || by_hand) {
            return Err(Mismatch::new(
                What::Cut,
                format_args!("cycle {number} cut at {scheduled:?}, or by hand at its own time"),
                format_args!("cycle {} cut at {at} by {actor}", cut.cycle_number),
            ));
        }
        let closes = self.next_close(at)?;
        if let Some(open) = self.small.books.cycles.back_mut() {
            open.closes = Some(at);
            open.cut_leaf = Some(entry.leaf);
        }
        let next = Cycle::new(number + 1, at, closes);
        self.small.books.cycles.push_back(next);
        Ok(())
    }

    fn close(&mut self, entry: &Entry, closed: &v1::CycleClosed) -> Result<Certificate, Mismatch> {
        let broken = |expected: String, found: String| Mismatch::new(What::Close, expected, found);
        let number = closed.cycle_number;
        let books = &self.small.books;
        let closing = books
            .cycles
            .front()
            .filter(|cycle| cycle.number == number && cycle.cut_leaf.is_some());
        let Some(cycle) = closing else {
            let expected = books.cycles.front().map(|cycle| cycle.number);
            return Err(broken(
                format!("the oldest cycle that was cut, of {expected:?}"),
                format!("cycle {number}"),
            ));
        };
        let close = cycle.closes.unwrap_or(i64::MAX);
        if let Some(due) = books.next_due().filter(|due| *due <= close) {
            return Err(broken(
                format!("nothing left that was due by {close}"),
                format!("something due at {due}"),
            ));
        }
        let mut totals = cycle.totals(&self.small.terms);
        totals.closed_leaf = Some(entry.leaf);
        let nets: i128 = totals.nets.values().sum();
        if nets != totals.hub.sum() {
            return Err(Mismatch::new(
                What::Totals,
                format_args!("nets of {}", totals.hub.sum()),
                nets,
            ));
        }
        if let Some(cycle) = self.small.books.cycles.pop_front() {
            let closed = Closed {
                nets: cycle.nets().clone(),
                digest: closed.digest.clone(),
                size: entry.leaf + 1,
                audited: false,
            };
            self.small.books.standing.closed(number, closed);
        }
        Ok(Certificate {
            totals,
            digest: closed.digest.clone(),
            size: entry.leaf + 1,
            root: [0; 32],
        })
    }
}
