//! `FraudService`: flags, their cases and appeals, bans, rules, as analysts, managers, merchants and affiliates see them.

use hansa_fraud::{
    act::{CaseStatus, Flag},
    rules::{Rule, RuleState},
};
use hansa_proto::v1::{self, fraud_service_server::FraudService};
use hansa_settlement::Pos;
use tonic::Request;

use super::{Answer, Api, ok, page};
use crate::{
    auth::Caller,
    convert::{micros, timestamp},
    error::{HubError, Reason},
    fraud::{
        desk::{Desk, Held, Numbered, evidence_sha256},
        slug, wire,
    },
    registry::Registry,
};

/// Longest note. Unit: bytes.
const MAX_NOTE: usize = 1_000;

/// Longest appeal. Unit: bytes.
const MAX_APPEAL: usize = 4_000;

/// Longest rule. Unit: bytes.
const MAX_RULE: usize = 8_192;

/// Longest time for which a flag is not raised again.
const MAX_SNOOZE_MICROS: i64 = 366 * 86_400_000_000;

/// Held conversions that one answer lists.
const MAX_HELD: usize = 1_000;

/// An alliance rules on an appeal within so long.
const RULING_MS: i64 = 14 * 86_400_000;

/// Who looks.
enum Viewer {
    /// All flags, with the names of who decided.
    All,
    /// Those of the affiliates of its own book.
    Book(Vec<u32>),
    /// Those on it, or at it.
    Participant(u32),
}

impl Viewer {
    fn may_see(&self, numbered: &Numbered) -> bool {
        let pair = numbered.key.pair;
        match self {
            Self::All => true,
            Self::Book(book) => book.contains(&pair.affiliate.0),
            Self::Participant(own) => *own == pair.affiliate.0 || *own == pair.merchant.0,
        }
    }
}

fn at(ms: i64) -> prost_types::Timestamp {
    timestamp(ms.saturating_mul(1_000))
}

fn is_open(flag: &Flag) -> bool {
    !matches!(flag.case.status(), CaseStatus::Closed(..))
}

fn note_of(field: &'static str, text: &str, most: usize) -> Result<(), HubError> {
    if text.trim().is_empty() || text.len() > most {
        let why = format!("say why, in 1 to {most} bytes");
        return Err(HubError::field(field, "REQUIRED", why));
    }
    Ok(())
}

/// What a flag looks like to somebody who may see it.
fn shown(
    desk: &Desk,
    registry: &Registry,
    currency: &str,
    viewer: &Viewer,
    (number, numbered, flag): (u64, &Numbered, &Flag),
) -> Result<v1::FraudFlag, HubError> {
    let mut evidence: Vec<String> = flag
        .verdict
        .evidence
        .iter()
        .map(ToString::to_string)
        .collect();
    evidence.extend(flag.verdict.named.iter().map(ToString::to_string));
    let (state, outcome, closed_ms) = match flag.case.status() {
        CaseStatus::Pending => (v1::FraudCaseState::Pending, None, None),
        CaseStatus::Investigating => (v1::FraudCaseState::Investigating, None, None),
        CaseStatus::Closed(outcome, at_ms) => {
            (v1::FraudCaseState::Closed, Some(outcome), Some(at_ms))
        }
    };
    let held: Vec<&Held> = desk.held_for(number).map(|(_, held)| held).collect();
    let appeal_waits = flag.case.appealed_ms().filter(|_| is_open(flag));
    Ok(v1::FraudFlag {
        flag_number: number,
        affiliate_id: slug(registry, numbered.key.pair.affiliate.0),
        merchant_id: slug(registry, numbered.key.pair.merchant.0),
        scheme: wire::scheme(numbered.key.typology).into(),
        band: wire::band(flag.verdict.overall()).into(),
        raised_time: Some(at(flag.raised_ms)),
        holding_time: flag.holding_since_ms.filter(|_| flag.is_holding()).map(at),
        evidence,
        evidence_sha256: evidence_sha256(&flag.verdict)?,
        rules_version: flag.rules,
        case_state: state.into(),
        outcome: outcome
            .map_or(v1::FraudOutcome::Unspecified, wire::outcome)
            .into(),
        closed_time: closed_ms.map(at),
        closed_by: match viewer {
            Viewer::All => numbered.closed_by.clone(),
            Viewer::Book(_) | Viewer::Participant(_) => String::new(),
        },
        note: numbered.note.clone(),
        appeal_deadline: flag.case.appeal_until_ms().map(at),
        appealed_time: flag.case.appealed_ms().map(at),
        appeal_text: numbered.appeal.clone(),
        ruling_deadline: appeal_waits.map(|ms| at(ms.saturating_add(RULING_MS))),
        forfeit_time: flag.case.forfeits_ms().map(at),
        snoozed_until: flag.case.snoozed_until_ms().map(at),
        held_conversions: held.len() as u64,
        held_commission: Some(money(currency, held.iter().map(|held| held.micros).sum())),
    })
}

fn money(currency: &str, micros: i64) -> v1::Money {
    v1::Money {
        currency_code: currency.to_owned(),
        micros,
    }
}

fn held(currency: &str, (pos, held): (Pos, &Held)) -> v1::HeldConversion {
    v1::HeldConversion {
        leaf_index: pos.seq(),
        entry_position: pos.index(),
        held_time: Some(at(held.since_ms)),
        commission: Some(money(currency, held.micros)),
    }
}

fn rule(rule: &Rule, state: &RuleState) -> v1::TrafficRule {
    let draft = rule.draft();
    v1::TrafficRule {
        name: draft.name.clone(),
        version: rule.version().to_string(),
        on: matches!(state, RuleState::On(_)),
        scheme: wire::scheme(draft.typology).into(),
        mode: wire::mode(draft.mode).into(),
        when: draft.when.clone(),
        author: draft.author.clone(),
        off_reason: match state {
            RuleState::Off(off) => off.reason.clone(),
            RuleState::Saved | RuleState::On(_) => String::new(),
        },
    }
}

impl Api {
    /// Who looks, and the programme's currency.
    async fn viewer(&self, caller: &Caller) -> Result<(Viewer, String), HubError> {
        let caller = caller.clone();
        self.read(move |view| {
            let viewer = match (&caller, caller.book()) {
                (Caller::Merchant { index, .. }, _) => Viewer::Participant(*index),
                (Caller::Operator { .. }, None) => Viewer::All,
                (Caller::Operator { .. }, Some(manager)) => {
                    let profiles = view.global.affiliates().profiles();
                    let book = profiles.filter(|(_, profile)| profile.manager == manager);
                    Viewer::Book(book.map(|(affiliate, _)| affiliate.0).collect())
                }
            };
            Ok((viewer, view.global.currency().as_str().to_owned()))
        })
        .await
    }

    /// What the log would take, and nobody could mean.
    fn in_bounds(&self, decision: Option<&v1::FraudDecision>) -> Result<(), HubError> {
        use v1::fraud_decision::Decision;
        match decision.and_then(|decision| decision.decision.as_ref()) {
            Some(Decision::Snooze(snooze)) => {
                let now = self.0.clock.now_micros();
                let until = snooze.until.as_ref().map_or(i64::MIN, micros);
                if until <= now || until - now > MAX_SNOOZE_MICROS {
                    let why = "an instant from now on, at most 366 days away";
                    return Err(HubError::field(
                        "decision.snooze.until",
                        "OUT_OF_RANGE",
                        why,
                    ));
                }
            }
            Some(Decision::SaveRule(save)) if save.toml.len() > MAX_RULE => {
                let why = format!("at most {MAX_RULE} bytes");
                return Err(HubError::field("decision.save_rule.toml", "LENGTH", why));
            }
            _ => {}
        }
        Ok(())
    }

    async fn flag(
        &self,
        caller: &Caller,
        number: u64,
    ) -> Result<(v1::FraudFlag, Vec<v1::HeldConversion>), HubError> {
        let (viewer, currency) = self.viewer(caller).await?;
        let found = self.0.flags.read(|desk, registry| {
            let found = desk.flag(number);
            let found = found.filter(|(numbered, _)| viewer.may_see(numbered));
            let (numbered, flag) = found
                .ok_or_else(|| HubError::not_found(format!("flag {number} that you may see")))?;
            let waiting = desk.held_for(number).take(MAX_HELD);
            let waiting = waiting.map(|one| held(&currency, one)).collect();
            let flag = shown(desk, registry, &currency, &viewer, (number, numbered, flag))?;
            Ok((flag, waiting))
        });
        found.await?
    }
}

#[tonic::async_trait]
impl FraudService for Api {
    async fn list_flags(
        &self,
        request: Request<v1::ListFlagsRequest>,
    ) -> Answer<v1::ListFlagsResponse> {
        let caller = self.any_caller(&request)?;
        let (viewer, currency) = self.viewer(&caller).await?;
        let asked = request.into_inner();
        let size = page::size(asked.page_size, 100)?.min(500);
        let what = format!("flags:{}:{}", asked.open_only, asked.affiliate_id);
        let before = page::start(&asked.page_token, &what)?;
        let listed = self.0.flags.read(|desk, registry| {
            let wanted = desk.newest_first().filter(|(number, numbered, flag)| {
                (before == 0 || *number < before)
                    && viewer.may_see(numbered)
                    && (!asked.open_only || is_open(flag))
                    && (asked.affiliate_id.is_empty()
                        || registry.merchant(&asked.affiliate_id)
                            == Some(numbered.key.pair.affiliate.0))
            });
            wanted
                .take(size + 1)
                .map(|one| shown(desk, registry, &currency, &viewer, one))
                .collect::<Result<Vec<_>, _>>()
        });
        let mut flags = listed.await??;
        let more = flags.len() > size;
        flags.truncate(size);
        let last = flags.last().filter(|_| more);
        ok(v1::ListFlagsResponse {
            next_page_token: last
                .map_or_else(String::new, |flag| page::token(&what, flag.flag_number)),
            flags,
        })
    }

    async fn get_flag(&self, request: Request<v1::GetFlagRequest>) -> Answer<v1::GetFlagResponse> {
        let caller = self.any_caller(&request)?;
        let number = request.into_inner().flag_number;
        let (flag, held) = self.flag(&caller, number).await?;
        ok(v1::GetFlagResponse {
            flag: Some(flag),
            held,
        })
    }

    async fn decide_fraud(
        &self,
        request: Request<v1::DecideFraudRequest>,
    ) -> Answer<v1::DecideFraudResponse> {
        let caller = self.any_caller(&request)?;
        let holder = caller.analyst()?.to_owned();
        let asked = request.into_inner();
        note_of("note", &asked.note, MAX_NOTE)?;
        self.in_bounds(asked.decision.as_ref())?;
        let decided = v1::FraudDecided {
            time: None,
            decision: Some(asked.decision.unwrap_or_default()),
            appeal_flag_number: 0,
            note: asked.note,
            holder,
        };
        let (leaf_index, rule_version) = self.0.flags.decide(caller.actor(), decided).await?;
        ok(v1::DecideFraudResponse {
            leaf_index,
            rule_version,
        })
    }

    async fn appeal_flag(
        &self,
        request: Request<v1::AppealFlagRequest>,
    ) -> Answer<v1::AppealFlagResponse> {
        let caller = self.caller(&request)?;
        let _place = self.0.limits.admit(caller.merchant()?.0)?;
        let asked = request.into_inner();
        note_of("text", &asked.text, MAX_APPEAL)?;
        if asked.flag_number == 0 {
            let why = "name the flag; hansa fraud flags lists those on you";
            return Err(HubError::field("flag_number", "REQUIRED", why).into());
        }
        let decided = v1::FraudDecided {
            appeal_flag_number: asked.flag_number,
            note: asked.text.clone(),
            ..v1::FraudDecided::default()
        };
        let appealed = self.0.flags.decide(caller.actor(), decided).await;
        let (flag, _) = self.flag(&caller, asked.flag_number).await?;
        // The same words again are the same appeal.
        let said_before = flag.appeal_text == asked.text;
        match appealed {
            Err(error) if error.reason != Reason::FailedPrecondition || !said_before => {
                Err(error.into())
            }
            Ok(_) | Err(_) => ok(v1::AppealFlagResponse { flag: Some(flag) }),
        }
    }

    async fn list_bans(
        &self,
        request: Request<v1::ListBansRequest>,
    ) -> Answer<v1::ListBansResponse> {
        self.any_caller(&request)?;
        let listed = self.0.flags.read(|desk, registry| {
            let bans = desk.engine().bans().iter();
            let told = bans.map(|(affiliate, ban)| {
                let notice = ban.notice();
                v1::AffiliateBan {
                    affiliate_id: slug(registry, affiliate.0),
                    scheme: notice
                        .reason
                        .map_or(v1::FraudScheme::Unspecified, wire::scheme)
                        .into(),
                    severity: wire::severity(notice.severity).into(),
                    since: Some(at(notice.since_ms)),
                }
            });
            told.collect()
        });
        ok(v1::ListBansResponse {
            bans: listed.await?,
        })
    }

    async fn list_traffic_rules(
        &self,
        request: Request<v1::ListTrafficRulesRequest>,
    ) -> Answer<v1::ListTrafficRulesResponse> {
        self.caller(&request)?.operator()?;
        let listed = self.0.flags.read(|desk, _| {
            let rules = desk.engine().rulebook().iter();
            rules.map(|(one, state, _)| rule(one, state)).collect()
        });
        ok(v1::ListTrafficRulesResponse {
            rules: listed.await?,
        })
    }

    async fn preview_traffic_rule(
        &self,
        request: Request<v1::PreviewTrafficRuleRequest>,
    ) -> Answer<v1::PreviewTrafficRuleResponse> {
        let caller = self.caller(&request)?;
        caller.operator()?;
        let (_, currency) = self.viewer(&caller).await?;
        let name = request.into_inner().name;
        let now_ms = self.0.clock.now_micros().div_euclid(1_000);
        let measured = self
            .0
            .flags
            .read(|desk, _| desk.engine().measure_rule(&name, now_ms));
        let preview = measured
            .await?
            .map_err(|why| HubError::new(Reason::FailedPrecondition, why.to_string()))?;
        ok(v1::PreviewTrafficRuleResponse {
            version: preview.version.to_string(),
            days: preview.days,
            rows: preview.rows,
            hits: preview.hits,
            affiliates: preview.affiliates,
            confirmed: preview.confirmed,
            false_positives: preview.false_positives,
            unknown: preview.unknown,
            would_hold: Some(money(&currency, preview.would_hold_micros)),
            failed: preview.failed,
        })
    }

    async fn list_points_flags(
        &self,
        request: Request<v1::ListPointsFlagsRequest>,
    ) -> Answer<v1::ListPointsFlagsResponse> {
        const WHAT: &str = "points-flags";
        let caller = self.caller(&request)?;
        let own = match &caller {
            Caller::Operator { .. } => None,
            Caller::Merchant { index, .. } => Some(*index),
        };
        let asked = request.into_inner();
        let size = page::size(asked.page_size, 100)?;
        let before = page::start(&asked.page_token, WHAT)?;
        let listed = self.0.flags.read(|desk, registry| {
            let wanted = desk.points().newest_first().filter(|(number, flag)| {
                (before == 0 || *number < before) && own.is_none_or(|own| own == flag.merchant)
            });
            let shown = wanted.take(size + 1).map(|(number, flag)| v1::PointsFlag {
                points_flag_number: number,
                leaf_index: Pos(flag.pos).seq(),
                entry_position: Pos(flag.pos).index(),
                merchant_id: slug(registry, flag.merchant),
                member_number: if own.is_none() { flag.member } else { 0 },
                event_time: Some(at(flag.at_ms)),
                band: wire::band(flag.verdict.band).into(),
                evidence: flag
                    .verdict
                    .evidence
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            });
            shown.collect::<Vec<_>>()
        });
        let mut flags = listed.await?;
        let more = flags.len() > size;
        flags.truncate(size);
        let last = flags.last().filter(|_| more);
        ok(v1::ListPointsFlagsResponse {
            next_page_token: last.map_or_else(String::new, |flag| {
                page::token(WHAT, flag.points_flag_number)
            }),
            flags,
        })
    }

    async fn get_fraud_status(
        &self,
        request: Request<v1::GetFraudStatusRequest>,
    ) -> Answer<v1::GetFraudStatusResponse> {
        self.caller(&request)?.operator()?;
        let status = self.0.flags.read(|desk, _| {
            let progress = desk.progress();
            let open = desk.newest_first().filter(|(_, _, flag)| is_open(flag));
            Ok::<_, HubError>(v1::GetFraudStatusResponse {
                until: Some(at(progress.until_ms)),
                tree_size: progress.tree_size,
                touches: progress.touches,
                assessed_time: progress.assessed_ms.map(at),
                rules_version: desk.engine().rules().version,
                flags: desk.engine().flags().len() as u64,
                open_flags: open.count() as u64,
                held_conversions: desk.held().len() as u64,
                state_sha256: desk.digest()?.to_vec(),
                points_messages: desk.points().messages(),
                points_flags: desk.points().raised(),
            })
        });
        ok(status.await??)
    }
}
