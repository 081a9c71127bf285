//! The redirect endpoint over TLS.

use std::{fs, sync::Arc};

use hansa_tests::{database::Database, hub::TestHub};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

use crate::{World, click_id, http::click_kept};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shoppers_are_led_over_tls_and_not_beside_it() {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["go.example".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, pem: String| {
        let path = files.path().join(name);
        fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let builder = TestHub::on(&Database::sqlite())
        .arg("--redirect-tls-cert")
        .arg(write("go.pem", certificate.pem()))
        .arg("--redirect-tls-key")
        .arg(write("go.key", key.serialize_pem()));
    let world = World::with(builder).await;
    let path = format!("/c/{}", world.link().await.link_id);

    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(world.endpoint()).await.unwrap();
    let name = ServerName::try_from("go.example").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.unwrap();
    let answer = click_kept(&mut stream, &path).await.unwrap();
    assert!(click_id(answer.location()).is_some());

    let mut plain = TcpStream::connect(world.endpoint()).await.unwrap();
    assert!(click_kept(&mut plain, &path).await.is_none());
    assert_eq!(world.touches().await.len(), 1);
}
