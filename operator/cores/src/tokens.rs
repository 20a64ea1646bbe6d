//! Short-lived tokens of service accounts, by which the operator and the plugin sign in to a tenant's core.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use voicemail_runtime::calls::{CallError, within_deadline};

/// A token of an account for one audience.
///
/// # Errors
/// The API server refuses or doesn't answer.
pub async fn request_token(
    client: &Client,
    namespace: &str,
    account: &str,
    audience: String,
    seconds: i64,
) -> Result<String, CallError> {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let spec = TokenRequestSpec {
        audiences: vec![audience],
        expiration_seconds: Some(seconds),
        ..Default::default()
    };
    let (parameters, request) = (PostParams::default(), TokenRequest { spec, ..Default::default() });
    let call = api.create_token_request(account, &parameters, &request);
    let answer = within_deadline("request a token", call).await?;
    Ok(answer.status.map(|status| status.token).unwrap_or_default())
}
