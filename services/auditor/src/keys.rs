//! Who may sign: keys as the log registers and revokes them.

use std::collections::BTreeMap;

use hansa_proto::v1;
use serde::{Deserialize, Serialize};

use crate::{
    finding::{Mismatch, What},
    seal,
    terms::micros,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Holder {
    Hub,
    Operator,
    Merchant(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    holder: Holder,
    public: [u8; 32],
    from: i64,
    until: i64,
    revoked: bool,
}

/// All keys by id. A revoked one stays: what it signed before stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keys(BTreeMap<String, Key>);

impl Keys {
    /// The log's own key and those of the first operators.
    pub(crate) fn begin(&mut self, genesis: &v1::Genesis) -> Result<(), Mismatch> {
        let id = seal::hub_key_id(&genesis.hub_public_key);
        let key = Key {
            holder: Holder::Hub,
            public: public(&genesis.hub_public_key)?,
            from: i64::MIN,
            until: i64::MAX,
            revoked: false,
        };
        self.0.insert(id, key);
        for operator in &genesis.operator_keys {
            self.register(operator, i64::MIN)?;
        }
        Ok(())
    }

    /// The hub's own.
    pub(crate) fn hub(&self) -> Option<&[u8; 32]> {
        let mut keys = self.0.values();
        keys.find(|key| key.holder == Holder::Hub)
            .map(|key| &key.public)
    }

    pub(crate) fn register(&mut self, key: &v1::Key, decided_at: i64) -> Result<(), Mismatch> {
        let holder = if key.merchant_id.is_empty() {
            Holder::Operator
        } else {
            Holder::Merchant(key.merchant_id.clone())
        };
        let new = Key {
            holder,
            public: public(&key.public_key)?,
            from: key.valid_from.as_ref().map_or(decided_at, micros),
            until: key.valid_until.as_ref().map_or(i64::MAX, micros),
            revoked: false,
        };
        if let Some(known) = self.0.get(&key.key_id) {
            // Only an earlier end of the very same key may be registered again.
            let shortens = known.holder == new.holder
                && known.public == new.public
                && !known.revoked
                && new.until < known.until;
            if !shortens {
                let found = format!("\"{}\", which is taken", key.key_id);
                return Err(Mismatch::fact("a new key id", found));
            }
        }
        self.0.insert(key.key_id.clone(), new);
        Ok(())
    }

    pub(crate) fn revoke(&mut self, id: &str) -> Result<(), Mismatch> {
        match self.0.get_mut(id) {
            Some(key) => {
                key.revoked = true;
                Ok(())
            }
            None => Err(Mismatch::fact("a registered key", format_args!("\"{id}\""))),
        }
    }

    /// Verifies an envelope with the key that it names, as that stands now; answers who holds it.
    pub(crate) fn verify(
        &self,
        envelope: &v1::Envelope,
        decided_at: i64,
    ) -> Result<&Holder, Mismatch> {
        let id = &seal::signature(envelope)?.keyid;
        let refused = |why: &str| {
            Mismatch::new(
                What::SigningKey,
                "a registered key that is valid here",
                format_args!("\"{id}\", {why}"),
            )
        };
        let key = self.0.get(id).ok_or_else(|| refused("unknown"))?;
        if key.revoked {
            return Err(refused("revoked"));
        }
        if !(key.from..key.until).contains(&decided_at) {
            return Err(refused("outside its validity"));
        }
        seal::verify(envelope, &key.public)?;
        Ok(&key.holder)
    }

    /// Who holds the key that signed an earlier entry; the signature is verified, today's validity does not matter.
    pub(crate) fn earlier(&self, envelope: &v1::Envelope) -> Result<&Holder, Mismatch> {
        let id = &seal::signature(envelope)?.keyid;
        let key = self.0.get(id).ok_or_else(|| {
            Mismatch::new(
                What::SigningKey,
                "a registered key",
                format_args!("\"{id}\""),
            )
        })?;
        seal::verify(envelope, &key.public)?;
        Ok(&key.holder)
    }
}

fn public(bytes: &[u8]) -> Result<[u8; 32], Mismatch> {
    bytes.try_into().map_err(|_| {
        Mismatch::fact(
            "a public key of 32 bytes",
            format_args!("{} bytes", bytes.len()),
        )
    })
}
