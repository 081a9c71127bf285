//! What stands between groups: due work, cuts, and the jobs that no group takes.

use super::{Driver, Stop};
use crate::{
    convert::{cycle_no, cycle_number},
    error::{HubError, Reason},
    sequencer::{
        Job, Reply,
        due::{self, Step},
        group::Deciding,
        prefetch::{self, Fetched},
        projection::Projector,
        recovery::LoadError,
        state::{State, unassigned},
    },
};

/// What must hold before a cycle is closed for ever.
fn check_sums(state: &State) -> Result<(), LoadError> {
    let refusing = |why: String| LoadError::Corrupt(format!("refusing to close a cycle: {why}"));
    state
        .global
        .check_invariants()
        .map_err(|violation| refusing(violation.to_string()))?;
    match unassigned(&state.global, state.decided) {
        0 => Ok(()),
        n => Err(refusing(format!(
            "{n} messages are not in exactly one cycle"
        ))),
    }
}

impl Driver<'_> {
    /// One step of what happens by time alone; whether there was one. Evicts nothing: a group may be gathered.
    pub(super) async fn one_step(&self, state: &mut State) -> Result<bool, Stop> {
        let now = state.now(self.clock);
        let Some(step) = due::next_step(self.store, state, now, self.clock.is_test()).await? else {
            return Ok(false);
        };
        let fetched = self.fetch_members(state, &step).await?;
        let fact = match &step {
            Step::Cut(at) => Some(due::cut_fact(state, *at)),
            Step::Closed(cycle) => {
                check_sums(state)?;
                Some(due::closed_fact(state, *cycle))
            }
            Step::Sweep(..) => None,
        };
        let mut deciding = Deciding::new(state, &fetched, self.signer, now);
        match (&step, fact) {
            (Step::Sweep(until, members), _) => deciding.advance(*until, members)?,
            (_, Some(fact)) => deciding.hub_fact(fact)?,
            (_, None) => {}
        }
        let decided = deciding.finish()?;
        self.commit(state, decided).await?;
        Ok(true)
    }

    async fn fetch_members(&self, state: &mut State, step: &Step) -> Result<Fetched, Stop> {
        let Step::Sweep(_, members) = step else {
            return Ok(Fetched::default());
        };
        let missing: Vec<u64> = members
            .iter()
            .copied()
            .filter(|m| !state.members.contains(*m))
            .collect();
        let rows = prefetch::load(self.store, &missing).await?;
        let mut fetched = Fetched {
            rows,
            ..Fetched::default()
        };
        fetched.admit(state);
        Ok(fetched)
    }

    /// Does a job that stands alone.
    pub(super) async fn control(
        &self,
        state: &mut State,
        job: Job,
        projector: &mut Projector,
    ) -> Result<(), Stop> {
        match job {
            Job::SetClock { to, reply } => {
                if to < self.clock.now_micros() {
                    let message = "the clock goes forwards only";
                    drop(reply.send(Err(HubError::new(Reason::FailedPrecondition, message))));
                    return Ok(());
                }
                self.clock.advance_to(to);
                while self.one_step(state).await? {
                    // Nothing is gathered ahead of a job that stands alone.
                    projector.bound_dirty(state).await?;
                    state.members.evict();
                }
                let _ = reply.send(Ok(self.clock.now_micros()));
            }
            Job::CloseCycle {
                number,
                validate_only,
                actor,
                reply,
            } => {
                self.close_by_hand(state, number, validate_only, &actor, reply)
                    .await?;
            }
            other => other.refuse(HubError::internal("not a control job")),
        }
        Ok(())
    }

    async fn close_by_hand(
        &self,
        state: &mut State,
        number: u32,
        validate_only: bool,
        actor: &str,
        reply: Reply<u32>,
    ) -> Result<(), Stop> {
        let open = state.global.open_cycle().no;
        if cycle_no(number) != open {
            let message = format!(
                "cycle {number} is not the open one; cycle {} is",
                cycle_number(open)
            );
            drop(reply.send(Err(HubError::new(Reason::FailedPrecondition, message))));
            return Ok(());
        }
        if !validate_only {
            let now = state.now(self.clock);
            let fact = due::cut_fact(state, hansa_settlement::Instant(now));
            tracing::info!(number, actor, "cycle cut by hand");
            let fetched = Fetched::default();
            let mut deciding = Deciding::new(state, &fetched, self.signer, now);
            if let Err(refusal) = deciding.hub_fact_for(fact, actor.to_owned()) {
                drop(reply.send(Err(refusal)));
                return Ok(());
            }
            let decided = deciding.finish()?;
            self.commit(state, decided).await?;
            while state.global.closable_cycle().is_some() && self.one_step(state).await? {}
        }
        let _ = reply.send(Ok(number));
        Ok(())
    }
}
