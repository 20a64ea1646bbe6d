//! Speaks to a tenant's core: HTTPS with the tenant's own authority, and a token for that tenant alone.
//!
//! Flow: [`Cores::connect`] reads the authority from the certificate's Secret and the address from the
//! Service, and asks the API server for a 10-minute token of the operator's own account whose audience is
//! the tenant's UID. A connection is kept for five minutes, and dropped at the first failure.
//!
//! What can go wrong: see [`CoreError`]. A problem document's words are passed on only after anything that
//! looks like a phone number was taken out.

use crate::child_names::API_PORT;
use crate::child_names::CA_CERTIFICATE;
use crate::child_names::{api_host, child_name, serving_secret};
use crate::tokens::request_token;
use k8s_openapi::api::core::v1::{Secret, Service};
use kube::{Api, Client, ResourceExt};
use reqwest::Certificate;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use voicemail_api::gdpr::{CasePage, CaseView, GdprAnswer, GdprBody, LedgerView, Operation, RunView};
use voicemail_client::ClientError;
pub use voicemail_client::Decision as CoreDecision;
use voicemail_resources::VoicemailTenant;
use voicemail_runtime::calls::{CallError, Classified, ErrorClass, within_deadline};
use voicemail_runtime::fence::{Fence, NotLeading};
use voicemail_runtime::redact::redact;

const TOKEN_SECONDS: i64 = 600;
const KEPT: Duration = Duration::from_secs(300);
/// A thousand tenants' first looks come one after the other, and few tenants have an open request at a time.
const MOST_KEPT: usize = 32;
/// Cases that are asked for at a time.
const CASES_A_PAGE: u32 = 50;
const DEADLINE: Duration = Duration::from_secs(30);
/// A 403 that isn't about the token.
const SECOND_PERSON: &str = "SecondPersonNeeded";

/// Why a core did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// A call to the API server failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// This replica has lost the lease: whether the core was told isn't known; the replica that leads now asks.
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
    /// The tenant has no Service or certificate yet.
    #[error("the tenant has no {0} yet")]
    NotThere(&'static str),
    /// No connection, or none in time.
    #[error("the tenant's core can't be reached: {0}")]
    Unreachable(String),
    /// An answer that isn't of this API.
    #[error("the tenant's core answered {0} without a problem document")]
    Unreadable(u16),
    /// An answer without an end in sight.
    #[error("the tenant's core answered {0} with more than an answer of this API holds")]
    TooLong(u16),
    /// The core doesn't take a question that opens nothing: it is of another version. What was asked for isn't refused by it.
    #[error("the case can't be looked up: {0}")]
    Lookup(Box<CoreError>),
    /// The core says what is wrong.
    #[error("{title}: {detail}")]
    Problem {
        /// HTTP status.
        status: u16,
        /// The last part of the problem's type, in CamelCase.
        reason: String,
        /// The kind of problem.
        title: String,
        /// The failure.
        detail: String,
    },
}

impl CoreError {
    /// Why a request about a case failed: a problem's words are shown without what looks like a number, but for the case.
    fn of(error: ClientError, case: &str) -> Self {
        match error {
            ClientError::Unreachable(words) => Self::Unreachable(words),
            ClientError::Unreadable(status) => Self::Unreadable(status),
            ClientError::TooLong(status) => Self::TooLong(status),
            ClientError::Problem { status, problem } => Self::Problem {
                status,
                reason: camel_case(&problem.kind),
                title: redact(&problem.title, case),
                detail: redact(&problem.detail, case),
            },
        }
    }

    /// Whether retrying can help: a refusal for good is a 4xx that isn't about the token, time or rate.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Problem { reason, .. } if reason == SECOND_PERSON => ErrorClass::Permanent,
            Self::Problem { status: 401 | 403 | 408 | 425 | 429, .. } => ErrorClass::Transient,
            Self::Problem { status: 400..=499, .. } => ErrorClass::Permanent,
            Self::Call(error) => error.class(),
            _ => ErrorClass::Transient,
        }
    }

    /// Stable CamelCase name.
    pub fn reason(&self) -> String {
        match self {
            Self::Call(error) => error.reason().into(),
            Self::NotLeading(_) => "NotLeading".into(),
            Self::NotThere(_) => "TenantNotReady".into(),
            Self::Unreachable(_) => "CoreUnreachable".into(),
            Self::Unreadable(_) | Self::TooLong(_) => "CoreAnswerUnreadable".into(),
            Self::Lookup(problem) => problem.reason(),
            Self::Problem { reason, .. } => reason.clone(),
        }
    }
}

/// Connections to the tenants' cores, by tenant UID: the newest few, since each costs some 50 KiB.
#[derive(Default)]
pub struct Cores {
    kept: Mutex<HashMap<String, (Instant, Arc<Core>)>>,
    account: Account,
    fence: Fence,
}

/// The service account that signs in to cores.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Cores {
    /// No connection yet. The account's tokens open the cores; what changes something is told while the fence is open.
    pub fn new(account: Account, fence: Fence) -> Self {
        Self { kept: Mutex::default(), account, fence }
    }

    /// A connection to the tenant's core.
    ///
    /// # Errors
    /// [`CoreError`], apart from `Problem`.
    pub async fn connect(&self, client: &Client, tenant: &VoicemailTenant) -> Result<Arc<Core>, CoreError> {
        let uid = tenant.uid().unwrap_or_default();
        if let Some((since, core)) = self.lock().get(&uid).cloned()
            && since.elapsed() < KEPT
        {
            return Ok(core);
        }
        let core = Arc::new(connect(client, &self.account, tenant, self.fence.clone()).await?);
        self.drop_old();
        let mut kept = self.lock();
        let oldest = kept.iter().min_by_key(|(_, (since, _))| *since).map(|(uid, _)| uid.clone());
        if let Some(oldest) = oldest.filter(|_| kept.len() >= MOST_KEPT) {
            kept.remove(&oldest);
        }
        kept.insert(uid, (Instant::now(), core.clone()));
        Ok(core)
    }

    /// Keeps a connection to the core of the tenant with that UID.
    pub fn keep(&self, uid: &str, core: Core) {
        self.lock().insert(uid.to_owned(), (Instant::now(), Arc::new(core)));
    }

    /// Lets go of connections that are too old to be used again.
    pub fn drop_old(&self) {
        self.lock().retain(|_, (since, _)| since.elapsed() < KEPT);
    }

    /// Forgets a connection that failed.
    pub fn forget(&self, tenant: &VoicemailTenant) {
        self.lock().remove(&tenant.uid().unwrap_or_default());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, Arc<Core>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect(
    client: &Client,
    account: &Account,
    tenant: &VoicemailTenant,
    fence: Fence,
) -> Result<Core, CoreError> {
    let (authority, address, token) = tokio::try_join!(
        read_authority(client, tenant),
        read_address(client, tenant),
        own_token(client, account, tenant)
    )?;
    let host = api_host(&tenant.name_any(), &tenant.namespace().unwrap_or_default());
    let unusable = |error: reqwest::Error| CoreError::Unreachable(error.without_url().to_string());
    let mut builder =
        reqwest::Client::builder().no_proxy().timeout(DEADLINE).connect_timeout(Duration::from_secs(5));
    if let Some(authority) = authority {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(&authority).map_err(unusable)?);
    }
    if let Some(address) = address {
        builder = builder.resolve(&host, SocketAddr::from((address, API_PORT)));
    }
    let http = builder.build().map_err(unusable)?;
    let base = format!("https://{host}:{API_PORT}/api/v1");
    Ok(Core::new(voicemail_client::Client::new(http, base, format!("Bearer {token}")), fence))
}

/// The authority's certificate. A brought certificate without one is checked against the machine's roots.
async fn read_authority(client: &Client, tenant: &VoicemailTenant) -> Result<Option<Vec<u8>>, CoreError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &tenant.namespace().unwrap_or_default());
    let secret =
        within_deadline("read the certificate's Secret", api.get_opt(&serving_secret(tenant))).await?;
    let secret = secret.ok_or(CoreError::NotThere("certificate"))?;
    Ok(secret.data.unwrap_or_default().remove(CA_CERTIFICATE).map(|bytes| bytes.0))
}

/// The Service's address, which spares the operator a name server.
async fn read_address(client: &Client, tenant: &VoicemailTenant) -> Result<Option<IpAddr>, CoreError> {
    let api: Api<Service> = Api::namespaced(client.clone(), &tenant.namespace().unwrap_or_default());
    let service = within_deadline("read the Service", api.get_opt(&child_name(&tenant.name_any()))).await?;
    let service = service.ok_or(CoreError::NotThere("Service"))?;
    Ok(service.spec.and_then(|spec| spec.cluster_ip).and_then(|address| address.parse().ok()))
}

/// Of the operator's own account, for this tenant alone.
async fn own_token(
    client: &Client,
    account: &Account,
    tenant: &VoicemailTenant,
) -> Result<String, CoreError> {
    let audience = tenant.uid().unwrap_or_default();
    Ok(request_token(client, &account.namespace, &account.name, audience, TOKEN_SECONDS).await?)
}

/// A connection to one tenant's core.
pub struct Core {
    client: voicemail_client::Client,
    fence: Fence,
}

impl Core {
    /// By this client, and told of changes while the fence is open.
    pub fn new(client: voicemail_client::Client, fence: Fence) -> Self {
        Self { client, fence }
    }

    /// Asks for an operation; the same request key gets the same run for ever.
    ///
    /// # Errors
    /// [`CoreError`].
    pub async fn open(&self, operation: Operation, body: &GdprBody) -> Result<GdprAnswer, CoreError> {
        let answer = self.fence.within(self.traced().open(operation, body)).await?;
        answer.map_err(|error| CoreError::of(error, &body.caseid))
    }

    /// All runs of a case.
    ///
    /// # Errors
    /// [`CoreError`].
    pub async fn read_case(&self, case: &str) -> Result<CaseView, CoreError> {
        self.traced().read_case(case).await.map_err(|error| CoreError::of(error, case))
    }

    /// The ledger of erasures after that one.
    ///
    /// # Errors
    /// [`CoreError`].
    pub async fn read_ledger(&self, after: u64) -> Result<LedgerView, CoreError> {
        self.traced().read_ledger(after).await.map_err(|error| CoreError::of(error, ""))
    }

    /// Tells of what somebody decided about a case; gives the run as it is then.
    ///
    /// # Errors
    /// [`CoreError`].
    pub async fn tell(&self, case: &str, decision: &CoreDecision) -> Result<RunView, CoreError> {
        let answer = self.fence.within(self.traced().decide(case, decision)).await?;
        answer.map_err(|error| CoreError::of(error, case))
    }

    /// A page of the cases received since then, for objects that show them.
    ///
    /// # Errors
    /// [`CoreError`].
    pub async fn list_cases(&self, from: &str, cursor: Option<&str>) -> Result<CasePage, CoreError> {
        self.traced().list_cases(from, CASES_A_PAGE, cursor).await.map_err(|error| CoreError::of(error, ""))
    }

    /// The connection within a trace of one request: the core's lines about it have the same id.
    fn traced(&self) -> voicemail_client::Client {
        let (trace, traceparent) = begin_trace();
        tracing::debug!(%trace, "a request to the core");
        self.client.within_trace(traceparent)
    }
}

/// A W3C trace for one request: its id, and the header that carries it. Without randomness there is none.
fn begin_trace() -> (String, String) {
    let mut random = [0; 24];
    if aws_lc_rs::rand::fill(&mut random).is_err() {
        return (String::new(), String::new());
    }
    let (trace, span) = (hex::encode(&random[..16]), hex::encode(&random[16..]));
    let header = format!("00-{trace}-{span}-00");
    (trace, header)
}

/// `/problems/mailbox-full` becomes `MailboxFull`.
fn camel_case(kind: &str) -> String {
    let last = kind.rsplit(['/', ':', '#']).next().unwrap_or(kind);
    let words = last.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let capital = |word: &str| format!("{}{}", word[..1].to_ascii_uppercase(), &word[1..]);
    let name: String = words.map(capital).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("Problem{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_type_becomes_a_reason() {
        assert_eq!(camel_case("/problems/mailbox-full"), "MailboxFull");
        assert_eq!(camel_case("about:blank"), "Blank");
        assert_eq!(camel_case(""), "Problem");
    }

    #[test]
    fn refusals_for_good_are_told_from_trouble() {
        let problem = |status| CoreError::Problem {
            status,
            reason: "R".into(),
            title: String::new(),
            detail: String::new(),
        };
        for status in [400, 404, 409, 422] {
            assert_eq!(problem(status).class(), ErrorClass::Permanent, "{status}");
        }
        for status in [401, 403, 429, 500, 503] {
            assert_eq!(problem(status).class(), ErrorClass::Transient, "{status}");
        }
    }
}
