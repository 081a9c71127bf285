//! Links in memory, in front of the store. A flood of made-up links costs a bounded number of look-ups at once and a bounded
//! memory, and takes nothing from the links that are known.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hansa_store::{LinkRow, Store, StoreError};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Semaphore;

use super::{bounded::Bounded, destination::Destination};

/// Characters of a link's name. 62^10 are 59 bits: nobody finds one by trying.
pub const NAME_LEN: usize = 10;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Links that are remembered at least, of those that are there and of those that are not.
const REMEMBERED: usize = 20_000;

/// How old what is remembered may be: another process may have ended the link, or made it.
const FRESH: Duration = Duration::from_secs(5);

/// Look-ups in the store at once.
const LOOKUPS: usize = 4;

/// How long a request waits for its turn to look a link up.
const PATIENCE: Duration = Duration::from_millis(500);

/// A link that is ready to be followed.
#[derive(Debug)]
pub struct Link {
    /// As it was made.
    pub row: LinkRow,
    /// Where it leads.
    pub destination: Destination,
}

/// What became of a look-up.
#[derive(Debug, Clone)]
pub enum Found {
    /// It is there.
    Link(Arc<Link>),
    /// It is not.
    Unknown,
    /// Too many ask for what is not known, or the store does not answer: not now.
    Busy,
}

#[derive(Debug, Clone)]
struct Known {
    link: Arc<Link>,
    read_at: Instant,
}

/// Links of the store, remembered.
#[derive(Debug)]
pub struct Links {
    store: Store,
    known: Mutex<Bounded<String, Known>>,
    unknown: Mutex<Bounded<String, Instant>>,
    lookups: Semaphore,
}

/// Whether a text can be a link's name at all.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() == NAME_LEN && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// A new name. `None` where the system gives no random bytes.
#[must_use]
pub fn new_name() -> Option<String> {
    let random = SystemRandom::new();
    let mut name = String::with_capacity(NAME_LEN);
    while name.len() < NAME_LEN {
        let mut bytes = [0; 16];
        random.fill(&mut bytes).ok()?;
        // Six bits each; the two values that have no character are drawn again, so that all characters are as likely.
        let characters = bytes
            .iter()
            .filter_map(|byte| ALPHABET.get(usize::from(byte & 63)).copied());
        name.extend(characters.map(char::from).take(NAME_LEN - name.len()));
    }
    Some(name)
}

impl Links {
    /// In front of this store.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            known: Mutex::new(Bounded::new(REMEMBERED)),
            unknown: Mutex::new(Bounded::new(REMEMBERED)),
            lookups: Semaphore::new(LOOKUPS),
        }
    }

    /// A link. From memory where it was read less than five seconds ago; otherwise one statement, and where the store does
    /// not answer, what was known.
    pub async fn find(&self, name: &str) -> Found {
        if !is_name(name) {
            return Found::Unknown;
        }
        let known = lock(&self.known).get(name);
        match &known {
            // An end is for ever.
            Some(known) if known.read_at.elapsed() < FRESH || known.link.row.ended_at.is_some() => {
                return Found::Link(Arc::clone(&known.link));
            }
            Some(_) => {}
            None => {
                let missed = lock(&self.unknown).get(name);
                if missed.is_some_and(|at| at.elapsed() < FRESH) {
                    return Found::Unknown;
                }
            }
        }
        let wait = if known.is_some() {
            Duration::ZERO
        } else {
            PATIENCE
        };
        let turn = tokio::time::timeout(wait, self.lookups.acquire()).await;
        let read = match turn {
            Ok(Ok(_turn)) => self.read(name).await,
            Ok(Err(_)) | Err(_) => None,
        };
        match (read, known) {
            (Some(found), _) => found,
            (None, Some(known)) => Found::Link(known.link),
            (None, None) => Found::Busy,
        }
    }

    async fn read(&self, name: &str) -> Option<Found> {
        match self.store.link(name).await {
            Ok(Some(row)) => self.remember(row).map(Found::Link),
            Ok(None) => {
                lock(&self.unknown).put(name.to_owned(), Instant::now());
                Some(Found::Unknown)
            }
            Err(error) => {
                tracing::warn!(%error, "a link cannot be looked up");
                None
            }
        }
    }

    fn remember(&self, row: LinkRow) -> Option<Arc<Link>> {
        let destination = Destination::parse(&row.destination)
            .inspect_err(|error| tracing::error!(link = row.link, "the destination {error}"))
            .ok()?;
        let link = Arc::new(Link { row, destination });
        let known = Known {
            link: Arc::clone(&link),
            read_at: Instant::now(),
        };
        lock(&self.known).put(link.row.link.clone(), known);
        Some(link)
    }

    /// Keeps a new link.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn add(&self, row: LinkRow) -> Result<(), StoreError> {
        self.store.add_link(&row).await?;
        lock(&self.unknown).remove(row.link.as_str());
        self.remember(row);
        Ok(())
    }

    /// Ends a link from now on, and answers it as it stands.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn end(&self, name: &str, at: i64) -> Result<Option<LinkRow>, StoreError> {
        self.store.end_link(name, at).await?;
        let row = self.store.link(name).await?;
        if let Some(row) = &row {
            self.remember(row.clone());
        }
        Ok(row)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use hansa_store::StoreOptions;

    use super::*;

    async fn links(directory: &tempfile::TempDir) -> Links {
        let url = format!("sqlite:{}", directory.path().join("touches.db").display());
        Links::new(Store::open(&url, &StoreOptions::default()).await.unwrap())
    }

    fn row(link: &str) -> LinkRow {
        LinkRow {
            link: link.into(),
            affiliate: 1,
            site: 0,
            merchant: 2,
            destination: "https://shop.example/".into(),
            created_at: 1,
            ended_at: None,
        }
    }

    #[test]
    fn names_are_letters_and_digits_and_differ() {
        let names: std::collections::BTreeSet<String> =
            (0..1_000).filter_map(|_| new_name()).collect();
        assert_eq!(names.len(), 1_000);
        assert!(names.iter().all(|name| is_name(name)));
        let used: std::collections::BTreeSet<char> = names.iter().flat_map(|n| n.chars()).collect();
        assert_eq!(used.len(), ALPHABET.len());
        for bad in [
            "",
            "short",
            "0123456789a",
            "../../etc/",
            "012345678%",
            "\u{e4}12345678",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_link_is_there_as_soon_as_it_is_made_and_ended_as_soon_as_it_is_ended() {
        let directory = tempfile::tempdir().unwrap();
        let links = links(&directory).await;
        let name = "Abcdefghi0";
        assert!(matches!(links.find(name).await, Found::Unknown));
        links.add(row(name)).await.unwrap();
        let Found::Link(found) = links.find(name).await else {
            panic!("the link was made");
        };
        assert_eq!(found.row, row(name));
        let ended = links.end(name, 7).await.unwrap().unwrap();
        assert_eq!(ended.ended_at, Some(7));
        let Found::Link(found) = links.find(name).await else {
            panic!("an ended link is known");
        };
        assert_eq!(found.row, ended);
        assert_eq!(links.end("Abcdefghi1", 7).await.unwrap(), None);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_flood_of_made_up_links_is_bounded_and_takes_nothing_from_those_that_are_known() {
        let directory = tempfile::tempdir().unwrap();
        let links = Arc::new(links(&directory).await);
        links.add(row("Abcdefghi0")).await.unwrap();
        // Nobody can look anything up now, as if a flood had taken every turn.
        let turns = links.lookups.acquire_many(4).await.unwrap();
        let made_up = links.find("Zzzzzzzzz1").await;
        assert!(matches!(made_up, Found::Busy), "{made_up:?}");
        assert!(matches!(links.find("Abcdefghi0").await, Found::Link(_)));
        drop(turns);
        assert!(matches!(links.find("Zzzzzzzzz1").await, Found::Unknown));
        // Asked for again, it costs no look-up.
        links.store.close().await.unwrap();
        assert!(matches!(links.find("Zzzzzzzzz1").await, Found::Unknown));
        assert!(matches!(links.find("Zzzzzzzzz2").await, Found::Busy));
    }
}
