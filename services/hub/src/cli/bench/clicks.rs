//! Shoppers' clicks on affiliates' links, over HTTP connections that are kept alive, at times that do not wait for answers.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use super::rng::SplitMix64;

/// Browsers, in the way of their texts; each has many versions.
const BROWSERS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/VERSION.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/VERSION.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/VERSION.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:VERSION.0) Gecko/20100101 Firefox/VERSION.0",
];

/// Versions of each.
const VERSIONS: usize = 25;

/// Longest head of an answer. Unit: bytes.
const MAX_HEAD: usize = 4_096;

/// What is clicked, how often, for how long.
#[derive(Debug, Clone)]
pub(super) struct Clicks {
    /// The endpoint.
    pub(super) address: SocketAddr,
    /// Links.
    pub(super) links: Vec<String>,
    /// Clicks in a second, over all connections.
    pub(super) rate: u32,
    /// How long.
    pub(super) time: Duration,
    /// Connections.
    pub(super) connections: u16,
    /// What they are drawn from.
    pub(super) seed: u64,
}

/// What came of them.
#[derive(Debug)]
pub(super) struct Clicked {
    /// From when a click was due, or sent where its connection was idle then, until its answer. Unit: microseconds.
    pub(super) latencies: Histogram<u64>,
    /// Click ids that were answered.
    pub(super) acknowledged: u64,
    /// From the first click until the last answer.
    pub(super) took: Duration,
}

impl Clicks {
    /// Plays them.
    pub(super) async fn play(&self) -> anyhow::Result<Clicked> {
        let mut tasks = JoinSet::new();
        let mut streams = Vec::new();
        for _ in 0..self.connections {
            let stream = TcpStream::connect(self.address)
                .await
                .context("cannot reach the redirect endpoint")?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let begin = Instant::now();
        for (lane, stream) in (0..).zip(streams) {
            let clicks = self.clone();
            tasks.spawn(async move { clicks.lane(lane, stream, begin).await });
        }
        let mut all = Clicked {
            latencies: Histogram::new(3)?,
            acknowledged: 0,
            took: Duration::ZERO,
        };
        for lane in tasks.join_all().await {
            let lane = lane?;
            all.latencies.add(&lane.latencies)?;
            all.acknowledged += lane.acknowledged;
            all.took = all.took.max(lane.took);
        }
        Ok(all)
    }

    /// One connection: every `connections`th click.
    async fn lane(
        &self,
        lane: u32,
        mut stream: TcpStream,
        begin: Instant,
    ) -> anyhow::Result<Clicked> {
        let mut rng = SplitMix64::new(self.seed, lane.into());
        let mut lane_clicks = Clicked {
            latencies: Histogram::new(3)?,
            acknowledged: 0,
            took: Duration::ZERO,
        };
        let gap = Duration::from_secs(1) / self.rate;
        let (step, mut due) = (gap * u32::from(self.connections), gap * lane);
        let mut answer = Vec::with_capacity(MAX_HEAD);
        while due < self.time {
            let due_at = begin + due;
            let idle = Instant::now() < due_at;
            if idle {
                tokio::time::sleep_until(due_at.into()).await;
            }
            let request = self.request(&mut rng);
            // A timer that rings late is this program's fault; a connection that was still busy is the endpoint's.
            let from = if idle { Instant::now() } else { due_at };
            stream.write_all(request.as_bytes()).await?;
            read_head(&mut stream, &mut answer).await?;
            let micros = u64::try_from(from.elapsed().as_micros())?;
            lane_clicks.latencies.record(micros)?;
            let head = std::str::from_utf8(&answer)?;
            ensure!(
                head.starts_with("HTTP/1.1 302"),
                "the endpoint answered: {head}"
            );
            lane_clicks.acknowledged += u64::from(head.contains("hansa_click="));
            due += step;
        }
        lane_clicks.took = begin.elapsed();
        Ok(lane_clicks)
    }

    fn request(&self, rng: &mut SplitMix64) -> String {
        let link = &self.links[rng.index(self.links.len())];
        let version = (100 + rng.index(VERSIONS)).to_string();
        let browser = BROWSERS[rng.index(BROWSERS.len())].replace("VERSION", &version);
        let [host, mark] = [rng.index(1 << 22), rng.index(1_000)];
        let address = format!("84.{}.{}.{}", host >> 16, host >> 8 & 255, host & 255);
        format!(
            "GET /c/{link}?sub_id=post-{mark} HTTP/1.1\r\nHost: go.alliance.example\r\nUser-Agent: {browser}\r\n\
             Accept: text/html,application/xhtml+xml\r\nAccept-Language: de,en;q=0.8\r\nReferer: https://blog.example/\r\n\
             Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nX-Forwarded-For: {address}\r\n\r\n"
        )
    }
}

/// Reads an answer without a body.
async fn read_head(stream: &mut TcpStream, answer: &mut Vec<u8>) -> anyhow::Result<()> {
    answer.clear();
    while !answer.ends_with(b"\r\n\r\n") {
        ensure!(answer.len() < MAX_HEAD, "the endpoint's answer has no end");
        if stream.read_buf(answer).await? == 0 {
            bail!("the endpoint closed the connection");
        }
    }
    Ok(())
}
