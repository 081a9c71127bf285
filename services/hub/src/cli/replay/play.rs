//! Playing rows: day by day, wave by wave, each merchant on a stream of its own.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use anyhow::{Context as _, bail};
use chrono::NaiveDate;
use hansa_client::{
    batch::{BatchBuilder, SignedBatch},
    hub::{BatchAnswers, BatchSender, CallError, Hub, HubOptions},
    keys::SigningKey,
    message::{Draft, MemberReference},
    money::Money,
    token::TokenSource,
};
use hansa_proto::{MAX_BATCH_MESSAGES, v1};
use indicatif::ProgressBar;
use ring::digest::{SHA256, digest};

use super::{
    process::{HubProcess, Running},
    report::{self, Document},
    rows::{self, Data, Row},
    terms::Terms,
};
use crate::{
    auth::OPERATOR_ISSUER,
    cli::connect::DEFAULT_AUDIENCE,
    convert::{micros, timestamp},
    home::OPERATOR_KEY,
};

/// Points and micro-units of a cent.
const MICROS_PER_CENT: i64 = 10_000;

/// Members in one enrolment call.
const ENROLMENTS: usize = 4_000;

/// The instant to which the clock moves behind the last row, at the least: the rule of the data's description.
const LAST_CLOSE: (i32, u32) = (2018, 2);

/// What was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages.
    pub messages: u64,
    /// Of them, those that had been decided before.
    pub replayed: u64,
    /// Signed batches.
    pub batches: u64,
    /// Times the hub died and was started again.
    pub restarts: u32,
}

struct Sender {
    key: Arc<SigningKey>,
    references: BTreeMap<u32, MemberReference>,
    batches: BatchSender,
    answers: BatchAnswers,
}

/// Plays through a hub of its own.
pub struct Player {
    running: Option<Running>,
    hub: Hub,
    operator: Hub,
    clock: Arc<AtomicI64>,
    data_dir: std::path::PathBuf,
}

impl Player {
    /// Starts the hub.
    pub async fn start(process: HubProcess, clock: Arc<AtomicI64>) -> anyhow::Result<Self> {
        let data_dir = process.data_dir.clone();
        let mut running = process.start().await?;
        let hub = Hub::new(
            &HubOptions::new(format!("http://{}", running.address)),
            None,
        )?;
        let now = running
            .beside(async {
                let request = v1::GetClockRequest {};
                let asked = hub.call(request, async |hub: Hub, r| {
                    hub.test_clock().get_clock(r).await
                });
                Ok(asked.await?)
            })
            .await?;
        clock.fetch_max(now.now.as_ref().map_or(0, micros), Ordering::AcqRel);
        let key = Arc::new(
            SigningKey::load(data_dir.join(OPERATOR_KEY))
                .context("cannot read the operator's key")?,
        );
        let operator =
            hub.clone()
                .with_tokens(Some(Arc::new(tokens(key, OPERATOR_ISSUER, &clock))));
        Ok(Self {
            running: Some(running),
            hub,
            operator,
            clock,
            data_dir,
        })
    }

    /// The hub as an operator sees it.
    pub fn operator(&self) -> &Hub {
        &self.operator
    }

    /// Ends the hub in good order.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        match self.running.take() {
            Some(running) => running.stop().await,
            None => Ok(()),
        }
    }

    /// What settled.
    pub async fn report(&mut self) -> anyhow::Result<Document> {
        let Some(mut running) = self.running.take() else {
            bail!("the hub was stopped")
        };
        let read = async { Ok(report::read(&self.operator).await?) };
        let document = running.beside(read).await;
        self.running = Some(running);
        document.context("cannot read the result")
    }

    /// Plays all rows; a hub that dies meanwhile is started again.
    pub async fn play(
        &mut self,
        data: &Data,
        terms: &Terms,
        bar: &ProgressBar,
    ) -> anyhow::Result<Stats> {
        let Some(mut running) = self.running.take() else {
            bail!("the hub was stopped")
        };
        let before = running.restarts();
        let played = running.beside(self.play_rows(data, terms, bar)).await;
        let restarts = running.restarts() - before;
        self.running = Some(running);
        Ok(Stats {
            restarts,
            ..played?
        })
    }

    async fn play_rows(
        &self,
        data: &Data,
        terms: &Terms,
        bar: &ProgressBar,
    ) -> anyhow::Result<Stats> {
        bar.set_message("onboarding");
        self.apply(data, terms)
            .await
            .context("the terms were refused")?;
        let mut senders = self.senders(data).await?;
        let mut stats = Stats::default();
        for (date, rows) in data.days(terms.zone) {
            bar.set_message(date.to_string());
            // The test clock stands at the end of the day while the day's rows are sent: nothing falls due inside a day.
            self.advance(rows::midnight(rows::next_day(date), terms.zone) - 1_000_000)
                .await?;
            let played = rows.len() as u64;
            for wave in data.waves(rows) {
                send_wave(data, terms, &wave, &mut senders, &mut stats).await?;
            }
            bar.inc(played);
        }
        bar.set_message("closing");
        let last = rows::date(data.rows[data.rows.len() - 1].occurred_at, terms.zone);
        self.advance(rows::midnight(end(last, terms), terms.zone))
            .await?;
        Ok(stats)
    }

    async fn apply(&self, data: &Data, terms: &Terms) -> anyhow::Result<()> {
        let desired = terms.alliance(data.merchants.iter().map(String::as_str))?;
        let request = v1::ApplyAllianceRequest {
            desired: Some(desired),
            validate_only: false,
        };
        self.operator
            .call(request, async |hub: Hub, r| {
                hub.alliance().apply_alliance(r).await
            })
            .await?;
        Ok(())
    }

    /// A key, references of all its members, and a stream for each merchant.
    async fn senders(&self, data: &Data) -> anyhow::Result<Vec<Sender>> {
        let directory = self.data_dir.join("merchants");
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); data.merchants.len()];
        for row in &data.rows {
            members[row.merchant as usize].push(row.household);
        }
        let mut senders = Vec::with_capacity(data.merchants.len());
        for (merchant, mut households) in data.merchants.iter().zip(members) {
            let file = directory.join(format!("{}.pem", file_name(merchant)));
            if !file.exists() {
                SigningKey::generate()?.save(&file)?;
            }
            let key = Arc::new(SigningKey::load(&file)?);
            self.register(merchant, &key).await?;
            let hub = self.hub.clone().with_tokens(Some(Arc::new(tokens(
                Arc::clone(&key),
                merchant,
                &self.clock,
            ))));
            households.sort_unstable();
            households.dedup();
            let mut references = BTreeMap::new();
            for chunk in households.chunks(ENROLMENTS) {
                let keys: Vec<Vec<u8>> = chunk
                    .iter()
                    .map(|h| enrolment_key(&data.households[*h as usize]))
                    .collect();
                references.extend(chunk.iter().copied().zip(hub.enrol(&keys).await?));
            }
            let (batches, answers) = hub.stream(4);
            senders.push(Sender {
                key,
                references,
                batches,
                answers,
            });
        }
        Ok(senders)
    }

    async fn register(&self, merchant: &str, key: &SigningKey) -> Result<(), CallError> {
        let key = v1::Key {
            key_id: key.key_id().to_owned(),
            public_key: key.verifying_key().as_bytes().to_vec(),
            merchant_id: merchant.to_owned(),
            ..v1::Key::default()
        };
        let request = v1::RegisterKeyRequest {
            key: Some(key),
            validate_only: false,
        };
        self.operator
            .call(request, async |hub: Hub, r| {
                hub.alliance().register_key(r).await
            })
            .await?;
        Ok(())
    }

    async fn advance(&self, to: i64) -> anyhow::Result<()> {
        if to <= self.clock.load(Ordering::Acquire) {
            // A replay that is run again: the hub is further already, and answers with first outcomes.
            return Ok(());
        }
        let request = v1::SetClockRequest {
            now: Some(timestamp(to)),
        };
        self.operator
            .call(request, async |hub: Hub, r| {
                hub.test_clock().set_clock(r).await
            })
            .await
            .context("the clock cannot be moved")?;
        self.clock.store(to, Ordering::Release);
        Ok(())
    }
}

/// The clock's last stop: the first closing behind the last row, and not before the data's own last closing.
fn end(last: NaiveDate, terms: &Terms) -> NaiveDate {
    let next = terms.close_behind(last);
    NaiveDate::from_ymd_opt(LAST_CLOSE.0, LAST_CLOSE.1, 1).map_or(next, |fixed| next.max(fixed))
}

fn tokens(key: Arc<SigningKey>, issuer: &str, clock: &Arc<AtomicI64>) -> TokenSource {
    let clock = Arc::clone(clock);
    TokenSource::new(
        key,
        issuer,
        DEFAULT_AUDIENCE,
        Arc::new(move || clock.load(Ordering::Acquire)),
    )
}

/// A merchant's id as the name of a file: ids may hold slashes.
fn file_name(merchant: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let digest = digest(&SHA256, merchant.as_bytes());
    let hex = hansa_client::keys::hex(&digest.as_ref()[..4]);
    format!("{}-{hex}", merchant.chars().map(safe).collect::<String>())
}

/// Identifies a household at every merchant. A real alliance uses an HMAC under a key of its own.
fn enrolment_key(household: &str) -> Vec<u8> {
    digest(
        &SHA256,
        format!("hansa replay household\n{household}").as_bytes(),
    )
    .as_ref()
    .to_vec()
}

async fn send_wave(
    data: &Data,
    terms: &Terms,
    wave: &BTreeMap<u32, Vec<usize>>,
    senders: &mut [Sender],
    stats: &mut Stats,
) -> anyhow::Result<()> {
    let mut sent: Vec<(u32, usize)> = Vec::with_capacity(wave.len());
    for (&merchant, rows) in wave {
        let sender = &mut senders[merchant as usize];
        let mut batches = 0;
        let mut builder = BatchBuilder::new();
        for &at in rows {
            // A row is at most three messages, and they stay together.
            if builder.len() + 3 > MAX_BATCH_MESSAGES {
                sender.send(builder.sign(&sender.key)?).await?;
                batches += 1;
            }
            let row = &data.rows[at];
            let reference = sender
                .references
                .get(&row.household)
                .context("a household was not enrolled")?;
            for message in messages(row, *reference, &terms.currency)? {
                builder.push(&message)?;
            }
        }
        if !builder.is_empty() {
            sender.send(builder.sign(&sender.key)?).await?;
            batches += 1;
        }
        sent.push((merchant, batches));
    }
    for (merchant, batches) in sent {
        for _ in 0..batches {
            let name = &data.merchants[merchant as usize];
            let answer = senders[merchant as usize].answers.next().await;
            let item = answer.with_context(|| format!("the stream of merchant {name} ended"))?;
            let answer = item
                .result
                .with_context(|| format!("a batch of merchant {name} was refused"))?;
            stats.batches += 1;
            stats.messages += answer.outcomes.len() as u64;
            stats.replayed += answer.outcomes.iter().filter(|o| o.replayed).count() as u64;
            check(name, &answer.outcomes)?;
        }
    }
    Ok(())
}

/// Only a redemption beyond the balance is a refusal that a replay expects.
fn check(merchant: &str, outcomes: &[v1::Outcome]) -> anyhow::Result<()> {
    for outcome in outcomes {
        match outcome.code() {
            v1::ResultCode::Accepted
            | v1::ResultCode::InsufficientPoints
            | v1::ResultCode::OriginalNotFound => {}
            other => bail!(
                "a message of merchant {merchant} was refused: {}",
                other.as_str_name()
            ),
        }
    }
    Ok(())
}

impl Sender {
    async fn send(&self, batch: SignedBatch) -> anyhow::Result<()> {
        self.batches
            .send(batch)
            .await
            .map_err(|_| anyhow::anyhow!("a stream ended"))
    }
}

/// A row's messages: first the redemption, then the accrual.
fn messages(
    row: &Row,
    reference: MemberReference,
    currency: &str,
) -> anyhow::Result<Vec<v1::Message>> {
    let draft = || Draft::with_receipt(row.basket.as_str(), 0, row.occurred_at, reference);
    let mut messages = Vec::with_capacity(3);
    if row.coupon_cents > 0 {
        let authorisation = draft().redemption_authorisation(row.coupon_cents)?;
        let id = hansa_client::ids::MessageId::try_from(authorisation.message_id.as_slice())?;
        messages.push(authorisation);
        messages.push(draft().redemption_capture(id, row.coupon_cents)?);
    }
    if row.spend_cents > 0 {
        let micros = row
            .spend_cents
            .checked_mul(MICROS_PER_CENT)
            .context("an amount is out of range")?;
        messages.push(draft().accrual(Money::from_micros(micros, currency)?)?);
    }
    Ok(messages)
}
