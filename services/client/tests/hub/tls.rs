//! TLS: the hub's certificate is checked, and the client shows its own where the hub wants one.

use hansa_client::hub::{ClientIdentity, Hub, HubOptions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::fake::FakeHub;

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

    /// Certificate and key for a name.
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

fn serve(authority: &Authority, clients_of: Option<&Authority>) -> FakeHub {
    let identity = authority.issue("hub.test");
    let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(
        &identity.certificate_pem,
        &identity.key_pem,
    ));
    if let Some(clients) = clients_of {
        tls = tls.client_ca_root(Certificate::from_pem(clients.pem()));
    }
    FakeHub::start_with(Some(tls))
}

fn options(fake: &FakeHub, authority: &Authority) -> HubOptions {
    let mut options = fake.options();
    options.url = options.url.replace("http:", "https:");
    options.ca_certificate_pem = Some(authority.pem());
    options.domain_name = Some("hub.test".into());
    options.retry.give_up_after = std::time::Duration::from_millis(200);
    options
}

async fn submit(fake: &FakeHub, options: &HubOptions) -> bool {
    let hub = Hub::new(options, fake.tokens()).unwrap();
    hub.submit(&fake.batch(1, 1)).await.is_ok()
}

#[tokio::test]
async fn the_hub_must_show_a_certificate_of_the_authority_for_its_name() {
    let authority = Authority::new();
    let fake = serve(&authority, None);
    let good = options(&fake, &authority);
    assert!(submit(&fake, &good).await);

    assert!(!submit(&fake, &options(&fake, &Authority::new())).await);
    let mut other_name = good.clone();
    other_name.domain_name = Some("other.test".into());
    assert!(!submit(&fake, &other_name).await);
    let mut plain = good.clone();
    plain.url = plain.url.replace("https:", "http:");
    plain.ca_certificate_pem = None;
    assert!(!submit(&fake, &plain).await);
    assert_eq!(fake.received().len(), 1);
}

#[tokio::test]
async fn a_hub_that_wants_a_client_certificate_gets_one() {
    let authority = Authority::new();
    let clients = Authority::new();
    let fake = serve(&authority, Some(&clients));
    let without = options(&fake, &authority);
    assert!(!submit(&fake, &without).await);
    let mut foreign = without.clone();
    foreign.client_identity = Some(Authority::new().issue("grocery"));
    assert!(!submit(&fake, &foreign).await);
    let mut good = without;
    good.client_identity = Some(clients.issue("grocery"));
    assert!(submit(&fake, &good).await);
    assert_eq!(fake.received().len(), 1);
    assert!(!format!("{good:?}").contains("PRIVATE"));
}
