//! What the end-to-end tests share: hubs that run as processes of their own, merchants that speak to them over the
//! wire, and a database of each kind.
//!
//! The hub is always the real binary. It is killed, stopped and started as an operator or a power failure would.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

pub mod affiliate;
pub mod alliance;
pub mod bank;
pub mod binary;
pub mod body;
pub mod check;
pub mod clerk;
pub mod cli;
pub mod clock;
pub mod database;
pub mod hub;
pub mod load;
pub mod march;
pub mod merchant;
pub mod process;
pub mod shop;

/// Makes of each `async fn name(database: Database)` two tests, `name::sqlite` and `name::postgres`: one contract suite
/// for both databases. Without PostgreSQL the second says SKIPPED, or fails where it is required.
#[macro_export]
macro_rules! for_each_database {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name($crate::database::Database::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(database) = $crate::database::Database::postgres().await {
                    super::$name(database).await;
                }
            }
        }
    )*};
}
