//! Certificates and an issuer's keys change under load, and no request fails.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod served;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::{Certificate, Client, RequestBuilder};
use serde_json::json;
use served::{Process, Setup, speech};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Clients that keep their connection, and clients that make a new one for each request.
const KEEPING: usize = 3;
const NEW: usize = 2;

/// An authority whose certificates the clients trust.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Puts a new certificate and key in place of those that there are, one file after the other.
    fn renew(&self, folder: &Path) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        put(folder, "tls.crt", &certificate.pem());
        put(folder, "tls.key", &key.serialize_pem());
    }
}

/// A key by which an issuer signs, under a name of its own.
struct SigningKey {
    name: String,
    key: EncodingKey,
}

impl SigningKey {
    fn new(name: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { name: name.into(), key: EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()) }
    }

    fn public(&self) -> Jwk {
        let mut public = Jwk::from_encoding_key(&self.key, Algorithm::ES256).unwrap();
        public.common.key_id = Some(self.name.clone());
        public
    }

    fn token(&self) -> String {
        let exp = jsonwebtoken::get_current_timestamp() + 300;
        let claims = json!({ "iss": "https://id.example.com", "aud": "voicemail", "sub": "alice", "exp": exp,
                             "roles": ["telephony", "agent", "admin"] });
        let header = Header { kid: Some(self.name.clone()), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims, &self.key).unwrap()
    }
}

fn put(folder: &Path, name: &str, text: &str) {
    let new = folder.join(format!("{name}.new"));
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, folder.join(name)).unwrap();
}

fn publish(folder: &Path, keys: &[&SigningKey]) {
    let keys: Vec<Jwk> = keys.iter().map(|key| key.public()).collect();
    put(folder, "jwks.json", &json!({ "keys": keys }).to_string());
}

/// The answers that clients saw.
#[derive(Default)]
struct Seen {
    answered: usize,
    failed: Vec<String>,
}

struct Load {
    seen: Arc<Mutex<Seen>>,
    token: watch::Sender<String>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(api: &str, authority: &str, token: String) -> Self {
        let (token, tokens) = watch::channel(token);
        let seen = Arc::<Mutex<Seen>>::default();
        let clients = (0..KEEPING + NEW).map(|n| {
            let trusted = Certificate::from_pem(authority.as_bytes()).unwrap();
            let mut builder = Client::builder().tls_certs_only([trusted]);
            if n >= KEEPING {
                builder = builder.pool_max_idle_per_host(0);
            }
            let client = builder.build().unwrap();
            tokio::spawn(send(client, api.to_owned(), n, tokens.clone(), Arc::clone(&seen)))
        });
        Self { clients: clients.collect(), seen, token }
    }

    fn answered(&self) -> usize {
        self.seen.lock().unwrap().answered
    }

    /// Until so many more requests were answered.
    async fn go_on(&self, more: usize) {
        let until = self.answered() + more;
        let enough = async {
            while self.answered() < until {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), enough).await.unwrap();
    }

    /// Every client ends its request under way.
    async fn stop(self) -> Seen {
        drop(self.token);
        for client in self.clients {
            client.await.unwrap();
        }
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// Deposits, lists and deletes in turn until the token's sender is gone.
async fn send(
    client: Client,
    api: String,
    n: usize,
    tokens: watch::Receiver<String>,
    seen: Arc<Mutex<Seen>>,
) {
    let messages = format!("{api}/mailboxes/{}/messages", 1001 + n);
    let mut left = Vec::new();
    while tokens.has_changed().is_ok() {
        let token = tokens.borrow().clone();
        let list = client.get(&messages).bearer_auth(&token);
        ask(list, "a list", &seen).await;
        let audio = reqwest::multipart::Part::bytes(speech());
        let form = reqwest::multipart::Form::new().text("caller", "+442079460123").part("audio", audio);
        let deposit = client.post(&messages).bearer_auth(&token).multipart(form);
        if let Some(made) = ask(deposit, "a deposit", &seen).await {
            left.push(made["id"].as_str().unwrap().to_owned());
        }
        if left.len() > 3 {
            let delete = client.delete(format!("{messages}/{}", left.remove(0))).bearer_auth(&token);
            ask(delete, "a deletion", &seen).await;
        }
    }
}

async fn ask(request: RequestBuilder, what: &str, seen: &Mutex<Seen>) -> Option<serde_json::Value> {
    let answer = match request.send().await {
        Ok(answer) if answer.status().is_success() => answer.json().await.map_err(|error| error.to_string()),
        Ok(answer) => Err(format!("{} {}", answer.status(), answer.text().await.unwrap_or_default())),
        Err(error) => Err(format!("{error:?}")),
    };
    let mut seen = seen.lock().unwrap();
    match answer {
        Ok(body) => {
            seen.answered += 1;
            Some(body)
        }
        Err(error) => {
            seen.failed.push(format!("{what}: {error}"));
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_an_issuers_keys_change_under_load_without_a_failed_request() {
    let setup = Setup::new();
    let (authority, folder) = (Authority::new(), setup.path());
    authority.renew(folder);
    let [old, new] = ["old", "new"].map(SigningKey::new);
    publish(folder, &[&old]);
    setup.write_config(&setup.with_tls());
    let mut process = Process::start(&setup);
    process.wait_for("open");
    let api = format!("{}/api/v1", process.api.replace("http://", "https://"));
    provision(&api, &authority.pem, &old.token()).await;
    let load = Load::start(&api, &authority.pem, old.token());
    load.go_on(50).await;
    // As an issuer does it: the next key is published well before anything is signed by it.
    publish(folder, &[&old, &new]);
    for _ in 0..3 {
        authority.renew(folder);
        process.wait_for("the certificate was reloaded");
        load.go_on(20).await;
    }
    load.token.send_replace(new.token());
    load.go_on(50).await;
    publish(folder, &[&new]);
    authority.renew(folder);
    process.wait_for("the certificate was reloaded");
    load.go_on(50).await;
    let seen = load.stop().await;
    println!("{} requests answered", seen.answered);
    assert_eq!(seen.failed, Vec::<String>::new(), "of {}", seen.answered);
    process.stop();
}

async fn provision(api: &str, authority: &str, token: &str) {
    let trusted = Certificate::from_pem(authority.as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([trusted]).build().unwrap();
    let boxes: Vec<String> = (0..KEEPING + NEW).map(|n| (1001 + n).to_string()).collect();
    for name in &boxes {
        let put = client.put(format!("{api}/mailboxes/{name}")).bearer_auth(token).json(&json!({}));
        assert_eq!(put.send().await.unwrap().status(), 200);
    }
    let put =
        client.put(format!("{api}/users/alice")).bearer_auth(token).json(&json!({ "mailboxes": boxes }));
    assert_eq!(put.send().await.unwrap().status(), 200);
}
