//! Signing in at an OpenID issuer: the core is the client (authorization code, PKCE, nonce), and no token leaves it.
//!
//! ```text
//! begin  ─▶ address at the issuer, with state, nonce and PKCE challenge; their secrets are sealed for this browser
//! finish ─▶ state and `iss` are those of the beginning ─▶ code for tokens ─▶ ID token: signature, audience, times,
//!           nonce ─▶ who it is, by the access token as for any bearer (or by the ID token) ─▶ the same subject
//! renew  ─▶ refresh token for tokens ─▶ who it is now ─▶ the same subject
//! ```
//!
//! What can go wrong: an issuer that is away says nothing about anybody (`Unavailable`); one that refuses ends the attempt,
//! or the session.

use super::claims::identity_of_user;
use super::fetch::{Fetcher, key_url, read_file};
use super::keys::KeySource;
use super::token::{Claims, Terms, Token};
use super::{AuthError, Authenticator};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use voicemail_api::config::{IdentityFrom, IssuerConfig, LoginConfig};
use voicemail_api::percent::encode_segment;
use voicemail_engine::principal::{Principal, audit_name};
use voicemail_model::Time;
use voicemail_model::clock::World;
use voicemail_store::ErrorClass;

/// How long somebody may take at the issuer.
const PATIENCE: Duration = Duration::from_secs(600);
const LONGEST_ANSWER: usize = 4_096;

/// Why somebody isn't signed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoginError {
    /// The configuration has no such login any more.
    #[error("there is no such login")]
    Unknown,
    /// The issuer can't be asked, or answers something else.
    #[error("the issuer can't be asked: {0}")]
    Unavailable(String),
    /// The issuer refuses.
    #[error("the issuer refuses")]
    Refused,
    /// Not begun by this browser, or too long ago, or answered before.
    #[error("the answer isn't to a sign-in that this browser began")]
    Foreign,
    /// Another issuer answers than was asked.
    #[error("the answer is another issuer's")]
    OtherIssuer,
    /// The tokens are of another sign-in, or of somebody else.
    #[error("the tokens aren't for this sign-in")]
    OtherSignIn,
    /// A token isn't accepted, or can't be checked now.
    #[error(transparent)]
    Token(#[from] AuthError),
}

impl LoginError {
    /// The action that the error asks for.
    pub(crate) fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable(_) => ErrorClass::Transient,
            Self::Token(error) => error.class(),
            _ => ErrorClass::Permanent,
        }
    }
}

/// What the browser that began keeps, sealed, until the issuer answers.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attempt {
    issuer: String,
    state: String,
    nonce: String,
    verifier: String,
    /// Where to go afterwards.
    pub(crate) to: String,
    until: Time,
}

/// The issuer's answer, as it comes with the browser.
#[derive(Deserialize)]
pub(crate) struct Returned {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Somebody who has signed in.
pub(crate) struct SignedIn {
    pub(crate) who: Principal,
    /// When they showed the issuer who they are.
    pub(crate) at: Time,
    pub(crate) refresh: Option<String>,
}

/// Where an issuer takes what.
struct Endpoints {
    authorization: Url,
    token: Url,
    end_session: Option<Url>,
    /// It says that its answers name it (RFC 9207).
    names_itself: bool,
}

/// A login with all that is known of it.
struct Party<'a> {
    login: &'a LoginConfig,
    issuer: &'a IssuerConfig,
    keys: &'a KeySource,
    client_id: String,
}

impl Authenticator {
    /// Where to send the browser, and what it keeps. `longest`: who showed the issuer who they are longer ago must do it
    /// again.
    ///
    /// # Errors
    /// `Unknown` or `Unavailable`.
    pub(crate) async fn begin_login(
        &self,
        login: &LoginConfig,
        redirect: &str,
        (to, longest): (String, Duration),
        world: &World,
    ) -> Result<(Url, Attempt), LoginError> {
        let party = self.party(login).await?;
        let mut url = party.discover().await?.authorization;
        let word = || URL_SAFE_NO_PAD.encode(world.random::<32>());
        let until = world.now().plus(PATIENCE);
        let issuer = login.issuer.clone();
        let attempt = Attempt { issuer, state: word(), nonce: word(), verifier: word(), to, until };
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, attempt.verifier.as_bytes()));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &party.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", &login.scopes.join(" "))
            .append_pair("state", &attempt.state)
            .append_pair("nonce", &attempt.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("max_age", &longest.as_secs().to_string())
            .extend_pairs(login.resource.iter().map(|resource| ("resource", resource)));
        Ok((url, attempt))
    }

    /// Who has signed in, if the answer is to that attempt.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub(crate) async fn finish_login(
        &self,
        login: &LoginConfig,
        redirect: &str,
        (attempt, returned): (&Attempt, &Returned),
        now: Time,
    ) -> Result<SignedIn, LoginError> {
        let same = returned.state.as_ref().is_some_and(|state| *state == attempt.state);
        if !same || attempt.until <= now {
            return Err(LoginError::Foreign);
        }
        if attempt.issuer != login.issuer {
            return Err(LoginError::OtherIssuer);
        }
        let party = self.party(login).await?;
        let endpoints = party.discover().await?;
        match &returned.iss {
            Some(iss) if *iss != login.issuer => return Err(LoginError::OtherIssuer),
            None if endpoints.names_itself => return Err(LoginError::OtherIssuer),
            _ => {}
        }
        let code = returned.code.as_ref().filter(|code| code.len() <= LONGEST_ANSWER);
        let code = code.filter(|_| returned.error.is_none()).ok_or(LoginError::Refused)?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", &attempt.verifier),
        ];
        let tokens = party.ask(&endpoints.token, &form).await?;
        let id_token = tokens.id_token.as_ref().ok_or(LoginError::OtherSignIn)?;
        let claims = party.read_id_token(id_token).await?;
        if claims.get("nonce").and_then(Value::as_str) != Some(&attempt.nonce) {
            return Err(LoginError::OtherSignIn);
        }
        let at = seconds(&claims, "auth_time").unwrap_or(now).min(now);
        let who = self.identify(&party, &tokens, Some(&claims)).await?;
        Ok(SignedIn { who, at, refresh: tokens.refresh_token })
    }

    /// Who it is now that a refresh token was given for, and the next one.
    ///
    /// # Errors
    /// `Refused` when they are out; `OtherSignIn` for tokens of somebody else; `Unavailable`.
    pub(crate) async fn renew_login(
        &self,
        login: &LoginConfig,
        refresh: &str,
        subject: &str,
    ) -> Result<(Principal, Option<String>), LoginError> {
        let party = self.party(login).await?;
        let endpoints = party.discover().await?;
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        let tokens = party.ask(&endpoints.token, &form).await?;
        let claims = match &tokens.id_token {
            Some(id_token) => Some(party.read_id_token(id_token).await?),
            None => None,
        };
        let who = self.identify(&party, &tokens, claims.as_ref()).await?;
        if who.subject != subject { Err(LoginError::OtherSignIn) } else { Ok((who, tokens.refresh_token)) }
    }

    /// Where somebody signs out at the issuer, if it says so.
    ///
    /// # Errors
    /// `Unknown` or `Unavailable`.
    pub(crate) async fn end_of_login(&self, login: &LoginConfig) -> Result<Option<Url>, LoginError> {
        let party = self.party(login).await?;
        let end = party.discover().await?.end_session.map(|mut url| {
            url.query_pairs_mut().append_pair("client_id", &party.client_id);
            url
        });
        Ok(end)
    }

    /// Whether people could sign in there now: the client's files are there, and the issuer says where.
    ///
    /// # Errors
    /// `Unknown` or `Unavailable`.
    pub(crate) async fn check_login(&self, login: &LoginConfig) -> Result<(), LoginError> {
        let party = self.party(login).await?;
        let secret = read_word(&login.client_secret_file).await?;
        if party.client_id.is_empty() || secret.is_empty() {
            return Err(LoginError::Unavailable("the client's id or secret is empty".into()));
        }
        party.discover().await.map(drop)
    }

    async fn party<'a>(&'a self, login: &'a LoginConfig) -> Result<Party<'a>, LoginError> {
        let known = self.issuers.iter().find(|(issuer, _)| issuer.issuer == login.issuer);
        let (issuer, keys) = known.ok_or(LoginError::Unknown)?;
        let client_id = read_word(&login.client_id_file).await?;
        Ok(Party { login, issuer, keys, client_id })
    }

    async fn identify(
        &self,
        party: &Party<'_>,
        tokens: &Tokens,
        id_claims: Option<&Claims>,
    ) -> Result<Principal, LoginError> {
        if party.login.identity_from == IdentityFrom::IdToken {
            return Ok(identity_of_user(id_claims.ok_or(LoginError::OtherSignIn)?, party.issuer)?);
        }
        let access = tokens.access_token.as_ref().ok_or(LoginError::OtherSignIn)?;
        let who = self.authenticate(access).await?;
        let named = id_claims.and_then(|claims| claims.get("sub")).and_then(Value::as_str);
        let other = named.is_some_and(|sub| audit_name(&party.issuer.issuer, sub) != who.subject);
        if other && Token::is_signed(access) { Err(LoginError::OtherSignIn) } else { Ok(who) }
    }
}

/// What a token endpoint gives.
#[derive(Deserialize)]
struct Tokens {
    access_token: Option<String>,
    id_token: Option<String>,
    refresh_token: Option<String>,
}

impl Party<'_> {
    fn fetcher(&self) -> Fetcher {
        Fetcher { ca_file: self.issuer.ca_file.clone(), token_file: None }
    }

    /// Asked each time: people sign in rarely, and a moved endpoint counts at once.
    async fn discover(&self) -> Result<Endpoints, LoginError> {
        let base = self.issuer.issuer.trim_end_matches('/');
        let url = endpoint(&format!("{base}/.well-known/openid-configuration"))?;
        let document = self.fetcher().json(&url).await.map_err(LoginError::Unavailable)?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        if text("issuer") != Some(&self.issuer.issuer) {
            return Err(LoginError::Unavailable("discovery names another issuer".into()));
        }
        let needed = |name: &str| {
            let missing = || LoginError::Unavailable(format!("discovery names no {name}"));
            text(name).ok_or_else(missing).and_then(endpoint)
        };
        let names_itself = document.get("authorization_response_iss_parameter_supported");
        Ok(Endpoints {
            authorization: needed("authorization_endpoint")?,
            token: needed("token_endpoint")?,
            end_session: text("end_session_endpoint").map(endpoint).transpose()?,
            names_itself: names_itself.and_then(Value::as_bool) == Some(true),
        })
    }

    async fn ask(&self, url: &Url, form: &[(&str, &str)]) -> Result<Tokens, LoginError> {
        let secret = read_word(&self.login.client_secret_file).await?;
        let resource = self.login.resource.iter().map(|resource| ("resource", resource.as_str()));
        let form: Vec<(&str, &str)> = form.iter().copied().chain(resource).collect();
        let client = (encode_segment(&self.client_id), encode_segment(&secret));
        let asked = self.fetcher().post(url, &form, (&client.0, &client.1)).await;
        match asked.map_err(LoginError::Unavailable)? {
            (200..=299, answer) => serde_json::from_value(answer)
                .map_err(|_| LoginError::Unavailable("the token endpoint's answer can't be read".into())),
            (400..=499, answer) if answer.get("error").and_then(Value::as_str) == Some("invalid_grant") => {
                Err(LoginError::Refused)
            }
            // Our own secret may be wrong: that says nothing of who signs in.
            (status, answer) => Err(LoginError::Unavailable(refusal(status, &answer))),
        }
    }

    async fn read_id_token(&self, text: &str) -> Result<Claims, LoginError> {
        let token = Token::read(text)?;
        if token.issuer != self.issuer.issuer {
            return Err(LoginError::OtherIssuer);
        }
        let audiences = std::slice::from_ref(&self.client_id);
        let IssuerConfig { algorithms, clock_skew, .. } = self.issuer;
        // An id token is looked at once, here.
        let terms = Terms { audiences, algorithms, skew: *clock_skew, longest: std::time::Duration::MAX };
        let claims = self.keys.verify(&token, self.keys.current().await?, &terms).await?;
        let other = claims.get("azp").and_then(Value::as_str).is_some_and(|azp| azp != self.client_id);
        if other { Err(LoginError::OtherSignIn) } else { Ok(claims) }
    }
}

/// What a token endpoint answers, with its error code (RFC 6749, section 5.2), which says what of the registration is wrong. A code
/// is a few words; anything else may name somebody.
fn refusal(status: u16, answer: &Value) -> String {
    let code = answer.get("error").and_then(Value::as_str).unwrap_or_default();
    let is_code = (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let code = if is_code { format!(" {code}") } else { String::new() };
    format!("the token endpoint answers {status}{code}")
}

fn seconds(claims: &Claims, name: &str) -> Option<Time> {
    claims.get(name).and_then(Value::as_i64).map(Time::from_seconds)
}

/// https, or a loopback address.
fn endpoint(text: &str) -> Result<Url, LoginError> {
    let url = key_url(text).map_err(|error| LoginError::Unavailable(error.to_string()))?;
    if url.scheme() == "file" {
        Err(LoginError::Unavailable("an endpoint is a file".into()))
    } else {
        Ok(url)
    }
}

async fn read_word(file: &Path) -> Result<String, LoginError> {
    let bytes = read_file(file).await.map_err(LoginError::Unavailable)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
