//! A connection that stops in the middle of a message, in either direction, and goes on later.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// What stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// What the sender says: the hub has half of it.
    ToHub,
    /// What the hub says: the sender does not read on.
    ToSender,
}

/// Stands between a sender and a hub. Ends with the test.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Where the sender connects.
    pub(crate) url: String,
    to_hub: watch::Sender<bool>,
    to_sender: watch::Sender<bool>,
}

impl Proxy {
    /// In front of a hub at `host:port`.
    pub(crate) async fn to(hub: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (to_hub, hub_stops) = watch::channel(false);
        let (to_sender, sender_stops) = watch::channel(false);
        let hub = hub.to_owned();
        tokio::spawn(async move {
            while let Ok((sender, _)) = listener.accept().await {
                let Ok(hub) = TcpStream::connect(&hub).await else {
                    continue;
                };
                let (from_sender, to_sender) = sender.into_split();
                let (from_hub, to_hub) = hub.into_split();
                tokio::spawn(copy(from_sender, to_hub, hub_stops.clone()));
                tokio::spawn(copy(from_hub, to_sender, sender_stops.clone()));
            }
        });
        Self {
            url,
            to_hub,
            to_sender,
        }
    }

    /// Nothing goes this way from the middle of what comes next, until it is told to go on.
    pub(crate) fn stop(&self, way: Way, stopped: bool) {
        let flag = match way {
            Way::ToHub => &self.to_hub,
            Way::ToSender => &self.to_sender,
        };
        flag.send_replace(stopped);
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut stopped: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        let (first, second) = buffer[..read].split_at(read / 2);
        if to.write_all(first).await.is_err()
            || stopped.wait_for(|stopped| !stopped).await.is_err()
            || to.write_all(second).await.is_err()
        {
            return;
        }
    }
}
