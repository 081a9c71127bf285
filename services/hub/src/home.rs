//! The hub's directory: its keys, made on the first start. Everything in it is secret but the anchored checkpoint.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use hansa_client::keys::{SigningKey, VerifyingKey};
use hansa_fraud::TokenKey;
use ring::{hmac, rand};

/// File of the hub's signing key.
pub const HUB_KEY: &str = "hub.key.pem";
/// File of the operator's signing key.
pub const OPERATOR_KEY: &str = "operator.key.pem";
/// File of the key under which enrolment keys are hashed.
pub const ALIAS_KEY: &str = "alias.key";

/// File of the newest signed checkpoint, kept outside the database.
pub const CHECKPOINT: &str = "checkpoint.note";

/// Domain of the key for tokens, which is derived from that of enrolment keys.
const TOKENS: &[u8] = b"hansa/tokens/v1\0";

/// The directory.
#[derive(Debug, Clone)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// Opens or makes the directory and what is missing in it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make the data directory {}", path.display()))?;
        let home = Self {
            path: path.to_owned(),
        };
        for name in [HUB_KEY, OPERATOR_KEY] {
            let file = home.path.join(name);
            if !file.exists()
                && !home
                    .path
                    .join(name.replace(".key.pem", ".pub.pem"))
                    .exists()
            {
                SigningKey::generate()?
                    .save(&file)
                    .with_context(|| format!("cannot write {}", file.display()))?;
                tracing::info!(file = %file.display(), "key made");
            }
        }
        let alias = home.path.join(ALIAS_KEY);
        if !alias.exists() {
            let key: [u8; 32] = rand::generate(&rand::SystemRandom::new())
                .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?
                .expose();
            write_secret(&alias, hansa_client::keys::hex(&key).as_bytes())?;
        }
        Ok(home)
    }

    /// The hub's key.
    pub fn hub_key(&self) -> anyhow::Result<SigningKey> {
        let file = self.path.join(HUB_KEY);
        SigningKey::load(&file)
            .with_context(|| format!("cannot read the hub's key {}", file.display()))
    }

    /// Operators' public keys for the first entry of a log: that of `operator.key.pem`, or `operator.pub.pem` where the
    /// private half is kept elsewhere.
    pub fn operator_keys(&self) -> anyhow::Result<Vec<(String, [u8; 32])>> {
        let private = self.path.join(OPERATOR_KEY);
        let public = if private.exists() {
            SigningKey::load(&private)?.verifying_key()
        } else {
            VerifyingKey::load(self.path.join("operator.pub.pem"))?
        };
        Ok(vec![(public.default_key_id(), *public.as_bytes())])
    }

    /// The key under which enrolment keys are hashed.
    pub fn alias_key(&self) -> anyhow::Result<hmac::Key> {
        let file = self.path.join(ALIAS_KEY);
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let text = text.trim();
        anyhow::ensure!(
            text.len() == 64,
            "{} must hold 64 hexadecimal digits",
            file.display()
        );
        Ok(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))
    }

    /// The key under which addresses, devices and user agents of affiliates' traffic are hashed. Every process of an
    /// alliance has the same alias key, and so the same key here.
    pub fn token_key(&self) -> anyhow::Result<TokenKey> {
        let derived = hmac::sign(&self.alias_key()?, TOKENS);
        let mut key = [0; 16];
        key.copy_from_slice(&derived.as_ref()[..16]);
        Ok(TokenKey::new(&key))
    }
}

fn write_secret(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(())
}
