//! The keys Secret: made once, then never replaced, owned or collected.
//!
//! The tenant key makes caller hashes, the receipt key signs erasure receipts. A wrong tenant key would make
//! an erasure find nothing and call it done; therefore this Secret is only ever created, never applied.

use crate::tenant::build::names::child;
use crate::tenant::steps::validate::Plan;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use std::collections::BTreeMap;

/// Key of the tenant key: 32 random bytes as hex text.
pub const TENANT_KEY: &str = "tenant.key";
/// Key of the receipt key: Ed25519, PKCS#8 PEM.
pub const RECEIPT_KEY: &str = "receipt.key";

/// The machine has no randomness.
#[derive(Debug, thiserror::Error)]
#[error("no random bytes could be had")]
pub struct NoRandomness;

/// Key material, as text.
pub struct KeyMaterial {
    tenant_key: String,
    receipt_key: String,
}

/// Makes both keys.
///
/// # Errors
/// [`NoRandomness`].
pub fn generate_keys() -> Result<KeyMaterial, NoRandomness> {
    let mut tenant_key = [0u8; 32];
    aws_lc_rs::rand::fill(&mut tenant_key).map_err(|_| NoRandomness)?;
    let pair = Ed25519KeyPair::generate().map_err(|_| NoRandomness)?;
    let pkcs8 = pair.to_pkcs8v1().map_err(|_| NoRandomness)?;
    Ok(KeyMaterial { tenant_key: hex::encode(tenant_key), receipt_key: write_pem(pkcs8.as_ref()) })
}

fn write_pem(der: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
}

/// Builds the Secret around the material.
pub fn build_keys_secret(plan: &Plan, material: &KeyMaterial) -> Secret {
    let entry = |key: &str, text: &str| (key.to_owned(), ByteString(text.as_bytes().to_vec()));
    Secret {
        metadata: child(plan, plan.keys.secret.clone()),
        type_: Some("Opaque".into()),
        data: Some(BTreeMap::from([
            entry(TENANT_KEY, &material.tenant_key),
            entry(RECEIPT_KEY, &material.receipt_key),
        ])),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_gets_keys_of_its_own() {
        let (first, second) = (generate_keys().unwrap(), generate_keys().unwrap());
        assert_ne!(first.tenant_key, second.tenant_key);
        assert_ne!(first.receipt_key, second.receipt_key);
        assert_eq!(hex::decode(&first.tenant_key).unwrap().len(), 32);
    }

    #[test]
    fn receipt_key_is_a_pkcs8_document_that_signs() {
        let text = generate_keys().unwrap().receipt_key;
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let pair = Ed25519KeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
        assert_eq!(pair.sign(b"receipt").as_ref().len(), 64);
    }
}
