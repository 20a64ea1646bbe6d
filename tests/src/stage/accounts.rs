//! The service accounts that a tenant trusts, and tokens for them.
//!
//! A token's audience is the tenant's id, so that one captured here opens no other tenant.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use super::{Site, TenantManifest};

const LIFE_SECONDS: i64 = 3600;

/// Tokens by the accounts' names.
#[derive(Clone)]
pub struct Accounts {
    tokens: BTreeMap<String, String>,
}

impl Accounts {
    /// Makes the accounts that the manifest names, and a token for each.
    pub async fn create(site: &Site, manifest: &TenantManifest) -> Result<Self> {
        let (client, audience) = (site.client()?, manifest.tenant_id());
        let mut tokens = BTreeMap::new();
        for (namespace, name) in manifest.accounts() {
            create_account(client.clone(), namespace, name).await?;
            let token = request_token(client.clone(), namespace, name, audience).await?;
            tokens.insert(name.to_owned(), token);
        }
        Ok(Self { tokens })
    }

    /// The token of an account.
    pub fn token(&self, name: &str) -> Result<&str> {
        let found = self.tokens.get(name).map(String::as_str);
        found.with_context(|| format!("the tenant's manifest names no service account {name}"))
    }
}

async fn create_account(client: Client, namespace: &str, name: &str) -> Result<()> {
    let api = Api::<ServiceAccount>::namespaced(client, namespace);
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name},
        "automountServiceAccountToken": false,
    });
    let parameters = PatchParams::apply("voicemail-tests").force();
    let applied = api.patch(name, &parameters, &Patch::Apply(account)).await;
    applied.map(drop).with_context(|| format!("creating service account {namespace}/{name}"))
}

/// A token of an account for an audience, which needs not be the tenant's.
pub async fn request_token(client: Client, namespace: &str, name: &str, audience: &str) -> Result<String> {
    let api = Api::<ServiceAccount>::namespaced(client, namespace);
    let spec = TokenRequestSpec {
        audiences: vec![audience.to_owned()],
        expiration_seconds: Some(LIFE_SECONDS),
        ..TokenRequestSpec::default()
    };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let answer = api.create_token_request(name, &PostParams::default(), &request).await;
    let answer = answer.with_context(|| format!("requesting a token of {namespace}/{name}"))?;
    Ok(answer.status.map(|status| status.token).unwrap_or_default())
}
