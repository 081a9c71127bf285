//! Bans: made of confirmed cases, lifted by a person, and what they mean for who has something in common with the banned one.

use super::Engine;
use crate::{
    act::{BanError, BanNotice, Bans, CaseStatus, FlagKey, Outcome, Severity},
    event::Affiliate,
};

impl Engine {
    /// Bans an affiliate from the alliance because of a confirmed case; what others are told. Who has identity, account or mail
    /// in common with it, now or later, is a DUPLICATE_IDENTITY at the next assessment.
    ///
    /// # Errors
    /// [`BanError`]: the case is not confirmed, or the affiliate is banned already.
    pub fn ban(
        &mut self,
        because: FlagKey,
        severity: Severity,
        at_ms: i64,
    ) -> Result<BanNotice, BanError> {
        let confirmed = self.flags.get(&because).is_some_and(|flag| {
            matches!(
                flag.case.status(),
                CaseStatus::Closed(Outcome::Confirmed, _)
            )
        });
        if !confirmed {
            return Err(BanError::NotConfirmed);
        }
        let affiliate = because.pair.affiliate;
        let tokens = self.features.identities().tokens(affiliate);
        let notice = self
            .bans
            .add(affiliate, tokens, Some(because), severity, at_ms)?;
        let links = self.features.ban(affiliate);
        self.link(links);
        Ok(notice)
    }

    /// Bans by the alliance itself, from the stream of events.
    pub(super) fn ban_by_alliance(&mut self, affiliate: Affiliate, at_ms: i64) {
        let tokens = self.features.identities().tokens(affiliate);
        // The same event twice is one ban.
        let _banned_already = self
            .bans
            .add(affiliate, tokens, None, Severity::High, at_ms);
        let links = self.features.ban(affiliate);
        self.link(links);
    }

    /// Lifts a ban: who has something in common with the affiliate is judged as if it had never been banned. Flags that were
    /// raised for it stay until a person closes their cases.
    ///
    /// # Errors
    /// [`BanError::NotBanned`].
    pub fn lift_ban(&mut self, affiliate: Affiliate) -> Result<(), BanError> {
        self.bans.lift(affiliate)?;
        self.features.lift_ban(affiliate);
        for links in self.links.values_mut() {
            *links = std::mem::take(links)
                .into_iter()
                .map(|mut link| {
                    link.banned &= link.with != affiliate;
                    link
                })
                .collect();
        }
        Ok(())
    }

    /// All bans that are in force.
    #[must_use]
    pub const fn bans(&self) -> &Bans {
        &self.bans
    }
}
