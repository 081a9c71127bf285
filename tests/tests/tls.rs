//! TLS and mTLS: who shows which certificate to whom.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{fs, path::Path, time::Duration};

use hansa_client::hub::{ClientIdentity, Hub, HubOptions};
use hansa_proto::v1;
use hansa_tests::{
    alliance,
    database::Database,
    hub::{Builder, TestHub},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// Name in the hubs' certificates: clients reach them by address.
const ADDRESS: &str = "127.0.0.1";

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    fn issue(&self, name: &str) -> ClientIdentity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        ClientIdentity {
            certificate_pem: certificate.pem().into_bytes(),
            key_pem: key.serialize_pem().into_bytes(),
        }
    }
}

/// How clients of an authority's hubs connect, with or without a certificate of their own.
fn client(authority: &Authority, identity: Option<ClientIdentity>) -> HubOptions {
    let mut options = HubOptions::new(String::new());
    options.ca_certificate_pem = Some(authority.pem());
    options.client_identity = identity;
    options
}

/// A hub with a certificate; `clients`: whose certificates clients must show.
fn hub(
    database: &Database,
    files: &Path,
    authority: &Authority,
    name: &str,
    clients: Option<&Authority>,
) -> Builder {
    let identity = authority.issue(name);
    let write = |name: &str, pem: &[u8]| {
        let path = files.join(name);
        fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let mut builder = TestHub::on(database)
        .arg("--tls-cert")
        .arg(write("hub.pem", &identity.certificate_pem))
        .arg("--tls-key")
        .arg(write("hub.key", &identity.key_pem))
        .arg("--peer-ca")
        .arg(write("peers.pem", &authority.pem()));
    if let Some(clients) = clients {
        builder = builder
            .arg("--tls-client-ca")
            .arg(write("clients.pem", &clients.pem()));
    }
    builder.tls(client(
        authority,
        clients.map(|clients| clients.issue("test")),
    ))
}

fn files() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Whether a client with these certificates is answered at all.
async fn is_answered(hub: &TestHub, mut options: HubOptions) -> bool {
    options.url = hub.url();
    options.retry.give_up_after = Duration::from_millis(300);
    let tokens = hub.tokens("operator", &hub.operator_key());
    let connection = Hub::new(&options, Some(tokens)).unwrap();
    let request = v1::GetStatusRequest {};
    connection.log().get_status(request).await.is_ok()
}

async fn plain(hub: &TestHub) -> bool {
    let options = HubOptions::new(hub.url().replace("https:", "http:"));
    let tokens = hub.tokens("operator", &hub.operator_key());
    let connection = Hub::new(&options, Some(tokens)).unwrap();
    connection
        .log()
        .get_status(v1::GetStatusRequest {})
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hub_shows_a_certificate() {
    let (files, authority) = (files(), Authority::new());
    let mut hub = hub(&Database::sqlite(), files.path(), &authority, ADDRESS, None)
        .start()
        .await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let member = shop.enrol("u").await;
    shop.accrue(&member, "1.00").await.ok();

    assert!(is_answered(&hub, client(&authority, None)).await);
    assert!(
        !is_answered(&hub, client(&Authority::new(), None)).await,
        "another authority"
    );
    let mut other_name = client(&authority, None);
    other_name.domain_name = Some("hub.test".into());
    assert!(
        !is_answered(&hub, other_name).await,
        "a certificate for another name"
    );
    assert!(
        !is_answered(&hub, HubOptions::new(String::new())).await,
        "the system's authorities"
    );
    assert!(!plain(&hub).await, "no TLS");
    // It stands all that, and a restart.
    hub.kill();
    hub.start().await;
    assert_eq!(shop.balance(&member).await.available_points, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_show_certificates() {
    let (files, authority, clients) = (files(), Authority::new(), Authority::new());
    let builder = hub(
        &Database::sqlite(),
        files.path(),
        &authority,
        ADDRESS,
        Some(&clients),
    );
    let hub = builder.start().await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let member = shop.enrol("u").await;
    shop.accrue(&member, "1.00").await.ok();

    assert!(is_answered(&hub, client(&authority, Some(clients.issue("shop")))).await);
    assert!(
        !is_answered(&hub, client(&authority, None)).await,
        "no certificate"
    );
    let foreign = Authority::new().issue("shop");
    assert!(
        !is_answered(&hub, client(&authority, Some(foreign))).await,
        "another authority's certificate"
    );
    let of_hubs = authority.issue("shop");
    assert!(
        !is_answered(&hub, client(&authority, Some(of_hubs))).await,
        "the hubs' authority's certificate"
    );
    assert!(!plain(&hub).await, "no TLS");
    // A certificate opens the door; it does not say who calls.
    let nobody = shop.hub.clone().with_tokens(None).balance(&member).await;
    assert_eq!(nobody.unwrap_err().reason.as_deref(), Some("TOKEN_MISSING"));
}

/// A front end speaks TLS with the owner, and shows a certificate where one is asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hubs_speak_tls_with_one_another() {
    for mutual in [false, true] {
        let Some(database) = Database::postgres().await else {
            return;
        };
        let (files, authority) = (files(), Authority::new());
        let clients = mutual.then_some(&authority);
        let owner = hub(&database, files.path(), &authority, ADDRESS, clients)
            .start()
            .await;
        let shop = owner.onboard("shop", alliance::contract()).await;
        let mut front_end = owner.replica();
        front_end.start().await;
        let till = front_end.reached_by(&shop);
        let member = till.enrol("u").await;
        till.accrue(&member, "1.00").await.ok();
        assert_eq!(shop.balance(&member).await.available_points, 1);
        assert_eq!(front_end.status().await.epoch, owner.status().await.epoch);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_cannot_be_used_are_named() {
    let (files, authority) = (files(), Authority::new());
    let mut hub = hub(&Database::sqlite(), files.path(), &authority, ADDRESS, None).prepare();
    for broken in ["hub.pem", "hub.key", "peers.pem"] {
        let path = files.path().join(broken);
        let good = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let ended = hub.try_start().await.unwrap_err();
        assert!(!ended.status.success());
        assert!(
            ended.log.contains(&path.display().to_string()),
            "{}",
            ended.log
        );
        assert!(!ended.log.contains("panicked"), "{}", ended.log);
        fs::write(&path, good).unwrap();
    }
    fs::write(files.path().join("hub.key"), "nonsense").unwrap();
    let ended = hub.try_start().await.unwrap_err();
    assert!(
        !ended.status.success() && !ended.log.contains("panicked"),
        "{}",
        ended.log
    );
}
