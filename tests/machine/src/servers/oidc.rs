//! An authorisation server (oidc-provider): discovery, keys, client credentials for signed and opaque tokens, and
//! introspection.
//!
//! `tests/servers/oidc` pins it and holds the program that configures it. It keeps tokens in memory, so that a restart
//! forgets opaque ones; keys are the test's, so that they can be rotated.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::servers::npm;
use crate::servers::process::{Launch, ServerProcess};

const PACKAGE: &str = include_str!("../../../servers/oidc/package.json");
const LOCK: &str = include_str!("../../../servers/oidc/package-lock.json");
const PROGRAM: &str = include_str!("../../../servers/oidc/server.js");

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A JWT.
    Signed,
    /// To be looked up.
    Opaque,
}

/// A server with the clients `alice`, who gets tokens, and `core`, who looks them up; secrets are NAME-secret.
#[derive(Debug)]
pub struct OidcServer {
    process: ServerProcess,
    keys: Vec<Value>,
    files: TempDir,
    published: Option<String>,
}

impl OidcServer {
    /// Installs it if need be, starts it with one key, and waits until it answers.
    pub async fn start(listen: IpAddr) -> Result<Self> {
        Self::start_with(listen, None).await
    }

    async fn start_with(listen: IpAddr, pages: Option<Value>) -> Result<Self> {
        let modules = tokio::task::spawn_blocking(|| npm::install("oidc-provider", PACKAGE, LOCK)).await??;
        let files = tempfile::tempdir()?;
        std::fs::write(files.path().join("server.js"), PROGRAM)?;
        if let Some(pages) = pages {
            std::fs::write(files.path().join("web.json"), pages.to_string())?;
        }
        let keys = vec![make_key()?];
        write_keys(files.path(), &keys)?;
        let launch = describe_launch(files.path().to_owned(), modules);
        Ok(Self { process: ServerProcess::start(launch, listen).await?, keys, files, published: None })
    }

    /// As [`start`](Self::start), with a client `web` whose people are sent back to these addresses.
    pub async fn start_for_pages(listen: IpAddr, person: &str, redirects: &[String]) -> Result<Self> {
        Self::start_with(listen, Some(json!({ "person": person, "redirectUris": redirects }))).await
    }

    /// Where it listens, by plain HTTP.
    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// Starts it again as the issuer of this `https://` address, by which everybody comes to it through TLS, with a client `web`
    /// whose people are sent back to `redirects`.
    pub async fn publish(&mut self, issuer: &str, person: &str, redirects: &[String]) -> Result<()> {
        let pages = json!({ "issuer": issuer, "person": person, "redirectUris": redirects });
        std::fs::write(self.files.path().join("web.json"), pages.to_string())?;
        self.published = Some(issuer.to_owned());
        self.process.start_again().await
    }

    /// Ends it, and starts it again: it has forgotten who signed in.
    pub async fn forget_all(&mut self) -> Result<()> {
        self.process.start_again().await
    }

    /// The `iss` of its tokens.
    pub fn issuer(&self) -> String {
        self.published.clone().unwrap_or_else(|| format!("http://{}", self.process.address()))
    }

    /// Where opaque tokens are looked up.
    pub fn introspection_endpoint(&self) -> String {
        format!("{}/token/introspection", self.issuer())
    }

    /// A token for `alice` with these scopes and the audience `voicemail`.
    pub async fn token(&self, kind: TokenKind, scope: &str) -> Result<String> {
        let resource = match kind {
            TokenKind::Signed => "urn:voicemail:signed",
            TokenKind::Opaque => "urn:voicemail:opaque",
        };
        let form = [("grant_type", "client_credentials"), ("resource", resource), ("scope", scope)];
        let post = Client::new().post(format!("{}/token", self.issuer()));
        let answer = post.basic_auth("alice", Some("alice-secret")).form(&form).send().await?;
        let answer: Value = answer.error_for_status()?.json().await?;
        Ok(answer["access_token"].as_str().context("the answer has no access_token")?.to_owned())
    }

    /// Signs with a new key from now on; the old ones are published still. Opaque tokens are forgotten.
    pub async fn rotate(&mut self) -> Result<()> {
        self.keys.insert(0, make_key()?);
        write_keys(self.files.path(), &self.keys)?;
        self.process.start_again().await
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }
}

fn describe_launch(files: PathBuf, modules: PathBuf) -> Launch {
    let command = move |address: SocketAddr, _data: &Path| {
        let mut command = Command::new("node");
        command.arg(files.join("server.js")).arg(address.ip().to_string()).arg(address.port().to_string());
        command.arg(files.join("keys.json")).arg(&modules);
        command
    };
    Launch {
        name: "oidc-provider",
        command: Box::new(command),
        health_path: "/.well-known/openid-configuration",
        is_up: |status| status == StatusCode::OK,
    }
}

fn write_keys(folder: &Path, keys: &[Value]) -> Result<()> {
    Ok(std::fs::write(folder.join("keys.json"), json!({ "keys": keys }).to_string())?)
}

fn make_key() -> Result<Value> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let secret = pair.private_key().as_be_bytes()?;
    let point = pair.public_key().as_ref().get(1..).context("a point without coordinates")?;
    let (x, y) = point.split_at_checked(32).context("a point of another length")?;
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    Ok(
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": uuid::Uuid::new_v4().to_string(),
               "x": encode(x), "y": encode(y), "d": encode(secret.as_ref()) }),
    )
}
