//! Writes to Azure name an encryption scope, which the client library has no setting for.
//!
//! The header is part of what an account key signs, so that such a request is signed again; tokens and signatures of access
//! don't cover headers.

use super::observe::ObservingConnector;
use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method};
use object_store::ClientOptions;
use object_store::azure::{AzureAuthorizer, AzureCredential, AzureCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use std::fmt;

static HEADER: HeaderName = HeaderName::from_static("x-ms-encryption-scope");

/// Makes clients whose writes name the scope.
pub(super) struct ScopedConnector {
    pub(super) inner: ObservingConnector,
    pub(super) scope: Option<String>,
    pub(super) account: String,
    /// None for a workload identity, whose token signs no headers.
    pub(super) credentials: Option<AzureCredentialProvider>,
}

impl fmt::Debug for ScopedConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedConnector").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl HttpConnector for ScopedConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = self.inner.connect(options)?;
        let Some(scope) = self.scope.as_deref().and_then(|scope| HeaderValue::from_str(scope).ok()) else {
            return Ok(inner);
        };
        let (account, credentials) = (self.account.clone(), self.credentials.clone());
        Ok(HttpClient::new(ScopedService { inner, scope, account, credentials }))
    }
}

struct ScopedService {
    inner: HttpClient,
    scope: HeaderValue,
    account: String,
    credentials: Option<AzureCredentialProvider>,
}

impl fmt::Debug for ScopedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedService").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl ScopedService {
    async fn sign(&self, request: &mut HttpRequest) -> object_store::Result<()> {
        let Some(credentials) = &self.credentials else { return Ok(()) };
        let credential = credentials.get_credential().await?;
        match credential.as_ref() {
            AzureCredential::AccessKey(_) => {
                AzureAuthorizer::new(&credential, &self.account).try_authorize(request)
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl HttpService for ScopedService {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if is_write(&request) {
            request.headers_mut().insert(HEADER.clone(), self.scope.clone());
            let signed = self.sign(&mut request).await;
            signed.map_err(|error| HttpError::new(HttpErrorKind::Request, error))?;
        }
        self.inner.execute(request).await
    }
}

/// A blob, a block of one, or the list of its blocks; not its tags or its tier.
fn is_write(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let what = query.split('&').find_map(|pair| pair.strip_prefix("comp="));
    request.method() == Method::PUT && matches!(what, None | Some("block" | "blocklist"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::signed::build_request;

    #[test]
    fn blobs_and_their_blocks_are_written_with_the_scope_and_nothing_else_is() {
        for (method, query, expected) in [
            (Method::PUT, "", true),
            (Method::PUT, "?comp=block&blockid=AA", true),
            (Method::PUT, "?sv=2024-11-04&comp=blocklist", true),
            (Method::PUT, "?comp=tags", false),
            (Method::PUT, "?comp=tier", false),
            (Method::GET, "", false),
            (Method::DELETE, "", false),
        ] {
            let url = format!("https://acme.blob.core.windows.net/voice/a{query}");
            let request = build_request(method.clone(), &url, String::new()).unwrap();
            assert_eq!(is_write(&request), expected, "{method} {query}");
        }
    }
}
