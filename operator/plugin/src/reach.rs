//! The way to a tenant's API from wherever kubectl works: a port-forward to one of its pods, HTTPS through it under the
//! Service's name, and a ten-minute token of one of the tenant's service accounts.
//!
//! Rights that it takes: `create` of `pods/portforward`, `create` of `serviceaccounts/token` for that account (or a token
//! that is given), `get` of the Secret with the certificate (or `--ca`). A user with these could do the same by hand.

use super::PluginError;
use super::arguments::Reach;
use super::place::Place;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{Api, ResourceExt};
use reqwest::{Certificate, Response};
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use voicemail_api::causes::root_cause;
use voicemail_api::gdpr::Problem;
use voicemail_cores::tokens::request_token;
use voicemail_operator::tenant::build::certificate::CA_CERTIFICATE;
use voicemail_operator::tenant::build::names::{brought_tls_secret, child_name, serving_secret};
use voicemail_operator::tenant::build::service::API_PORT;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::voicemail_tenant::Role;
use voicemail_runtime::calls::within_deadline;

const TOKEN_SECONDS: i64 = 600;
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// Between two pieces of an answer; a whole export may take longer.
const READ_WITHIN: Duration = Duration::from_secs(60);

/// The API of one tenant, as one of its accounts.
pub(super) struct TenantApi {
    http: reqwest::Client,
    base: String,
    token: String,
    forward: JoinHandle<()>,
}

impl TenantApi {
    /// Opens the way.
    pub(super) async fn open(
        place: &Place,
        tenant: &VoicemailTenant,
        role: Role,
        reach: &Reach,
    ) -> Result<Self, PluginError> {
        let pod = choose_pod(&place.pods(&tenant.name_any()).await?)?;
        let token = match &reach.token {
            Some(token) => token.clone(),
            None => {
                let (namespace, account) = choose_account(tenant, role, reach.account.as_deref())?;
                let audience = tenant.spec.tenant_id.clone();
                request_token(&place.client, &namespace, &account, audience, TOKEN_SECONDS).await?
            }
        };
        let authority = read_authority(place, tenant, reach.ca.as_deref()).await?;
        let (address, forward) = open_forward(place.api(), pod).await?;
        let host = format!("{}.{}.svc", child_name(&tenant.name_any()), place.namespace);
        let mut builder = reqwest::Client::builder().no_proxy().resolve(&host, address);
        builder = builder.connect_timeout(CONNECT_WITHIN).read_timeout(READ_WITHIN);
        if let Some(pem) = authority {
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(&pem).map_err(lost)?);
        }
        let http = builder.build().map_err(lost)?;
        Ok(Self { http, base: format!("https://{host}:{}/api/v1", address.port()), token, forward })
    }

    /// Reads a resource of the API, from JSON.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, PluginError> {
        let answer = self.send(path).await?;
        answer.json().await.map_err(lost)
    }

    /// Writes a resource of the API into a file that nobody else reads.
    pub(super) async fn download(&self, path: &str, file: &Path) -> Result<(), PluginError> {
        let mut answer = self.send(path).await?;
        super::report::write_private(file, &[])?;
        let mut target = tokio::fs::OpenOptions::new().append(true).open(file).await?;
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            target.write_all(&chunk).await?;
        }
        Ok(target.flush().await?)
    }

    async fn send(&self, path: &str) -> Result<Response, PluginError> {
        let request = self.http.get(format!("{}/{path}", self.base)).bearer_auth(&self.token);
        let answer = request.send().await.map_err(lost)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let words = match answer.json::<Problem>().await {
            Ok(problem) => format!("{}: {}", problem.title, problem.detail),
            Err(_) => status.to_string(),
        };
        Err(sort(status.as_u16(), words))
    }
}

/// The error that a script branches on: something isn't there or no more, isn't allowed, or can't be had now.
fn sort(status: u16, words: String) -> PluginError {
    match status {
        404 | 410 => PluginError::NotThere(words),
        429 | 500.. => PluginError::Unreachable(words),
        _ => PluginError::Refused(words),
    }
}

impl Drop for TenantApi {
    fn drop(&mut self) {
        self.forward.abort();
    }
}

/// The innermost words, without the address.
fn lost(error: reqwest::Error) -> PluginError {
    PluginError::Unreachable(root_cause(&error.without_url()))
}

fn choose_pod(pods: &[Pod]) -> Result<String, PluginError> {
    let serves = |pod: &&Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        let ready = conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
        ready && pod.metadata.deletion_timestamp.is_none()
    };
    let nobody = || PluginError::NotThere("no pod of the tenant serves: see kubectl voicemail status".into());
    pods.iter().find(serves).map(ResourceExt::name_any).ok_or_else(nobody)
}

/// The account to act as: the one that is asked for, or the first that has the role.
fn choose_account(
    tenant: &VoicemailTenant,
    role: Role,
    asked: Option<&str>,
) -> Result<(String, String), PluginError> {
    if let Some(asked) = asked {
        let wrong = || PluginError::Local(format!("--account {asked}: write NAMESPACE/NAME"));
        let (namespace, name) = asked.split_once('/').ok_or_else(wrong)?;
        return Ok((namespace.into(), name.into()));
    }
    let found = tenant.spec.auth.service_accounts.iter().find(|account| account.roles.contains(&role));
    let none = || {
        let words =
            format!("spec.auth.serviceAccounts has none with the role {role:?}: give --token instead");
        PluginError::NotThere(words)
    };
    found.map(|account| (account.namespace.clone(), account.name.clone())).ok_or_else(none)
}

/// `None`: a brought certificate without an authority is checked against the machine's roots.
async fn read_authority(
    place: &Place,
    tenant: &VoicemailTenant,
    file: Option<&Path>,
) -> Result<Option<Vec<u8>>, PluginError> {
    if let Some(file) = file {
        let fault = |error| PluginError::Local(format!("{}: {error}", file.display()));
        return std::fs::read(file).map(Some).map_err(fault);
    }
    let (secrets, name) = (place.api::<Secret>(), serving_secret(tenant));
    let what = "read the certificate's Secret (or give --ca)";
    let secret = match (within_deadline(what, secrets.get(&name)).await, brought_tls_secret(tenant)) {
        // An operator of before copies nothing: the pods mount the brought Secret itself.
        (Err(error), Some(brought)) if error.is_not_found() => {
            within_deadline(what, secrets.get(&brought)).await?
        }
        (read, _) => read?,
    };
    Ok(secret.data.unwrap_or_default().remove(CA_CERTIFICATE).map(|bytes| bytes.0))
}

/// Listens on loopback and carries each connection to the pod.
async fn open_forward(pods: Api<Pod>, pod: String) -> Result<(SocketAddr, JoinHandle<()>), PluginError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let carry_all = async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (pods, pod) = (pods.clone(), pod.clone());
            tokio::spawn(async move {
                if let Err(error) = carry(&pods, &pod, connection).await {
                    let _ = std::io::Write::write_fmt(
                        &mut std::io::stderr(),
                        format_args!("kubectl voicemail: port-forward to {pod}: {error}\n"),
                    );
                }
            });
        }
    };
    Ok((address, tokio::spawn(carry_all)))
}

async fn carry(pods: &Api<Pod>, pod: &str, mut connection: TcpStream) -> Result<(), PluginError> {
    let mut forward = within_deadline("forward a port", pods.portforward(pod, &[API_PORT])).await?;
    if let Some(mut stream) = forward.take_stream(API_PORT) {
        // Whichever side ends it: the request's own error tells what went wrong.
        let _ = tokio::io::copy_bidirectional(&mut connection, &mut stream).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_told_apart_from_what_is_refused_and_from_what_can_be_tried_again() {
        for (status, code) in
            [(404, 3), (410, 3), (401, 4), (403, 4), (409, 4), (422, 4), (429, 5), (500, 5), (503, 5)]
        {
            assert_eq!(sort(status, "m".into()).exit_code(), code, "{status}");
        }
    }

    #[test]
    fn the_first_account_with_the_role_is_taken_unless_another_is_asked_for() {
        let example = include_str!("../../../examples/volume-tenant.yaml");
        let mut tenant: VoicemailTenant = serde_yaml::from_str(example).unwrap();
        let chosen = |tenant: &VoicemailTenant, asked| choose_account(tenant, Role::Privacy, asked);
        assert_eq!(chosen(&tenant, None).unwrap().1, "privacy-officer");
        assert_eq!(chosen(&tenant, Some("a/b")).unwrap(), ("a".into(), "b".into()));
        assert!(chosen(&tenant, Some("b")).is_err());
        tenant.spec.auth.service_accounts.clear();
        assert!(chosen(&tenant, None).unwrap_err().to_string().contains("--token"));
    }

    #[test]
    fn without_a_pod_that_serves_the_way_to_the_status_is_named() {
        assert!(choose_pod(&[Pod::default()]).unwrap_err().to_string().contains("kubectl voicemail status"));
    }
}
