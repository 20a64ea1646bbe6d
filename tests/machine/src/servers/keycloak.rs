//! Keycloak: an authorisation server with forms, users and sessions as companies have them.
//!
//! `tests/servers/keycloak` pins it; Maven fetches its distribution once, and Java runs it, with a copy of its own, since it keeps
//! data and what it makes of its settings beside its programs. Its realm has the user `alice`, whose password is `right`, and the
//! client `web` with the secret `web-secret`.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::command::run;
use crate::servers::maven;
use crate::servers::process::{Launch, ServerProcess};

const LIST: &str = include_str!("../../../servers/keycloak/pom.xml");
/// What it is built without: nobody administrates it.
const WITHOUT: &str = "--features-disabled=admin,account,impersonation,kerberos";

/// A Keycloak process with a realm of its own.
#[derive(Debug)]
pub struct Keycloak(ServerProcess);

impl Keycloak {
    /// Installs it if need be, starts it, and waits until it answers. People are sent back to `redirect`.
    pub async fn start(listen: IpAddr, redirect: &str) -> Result<Self> {
        let install = || Ok((maven::find_java()?, install()?));
        let (java, program) =
            tokio::task::spawn_blocking(install).await?.map_err(|error: anyhow::Error| error)?;
        let launch = describe_launch(java, program, describe_realm(redirect));
        Ok(Self(ServerProcess::start(launch, listen).await?))
    }

    /// The `iss` of its tokens.
    pub fn issuer(&self) -> String {
        format!("http://{}/realms/voicemail", self.0.address())
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) -> Result<()> {
        self.0.kill()
    }
}

/// Where its distribution is, built once.
fn install() -> Result<PathBuf> {
    let folder = maven::install_unpacked("keycloak", LIST, |unpacked| {
        let program = find_program(unpacked)?;
        run(Command::new("bash").arg(program.join("bin/kc.sh")).args(["build", "--db=dev-file", WITHOUT]))
            .map(drop)
    })?;
    find_program(&folder)
}

/// The one folder of the distribution, which is named after its version.
fn find_program(unpacked: &Path) -> Result<PathBuf> {
    let mut folders = std::fs::read_dir(unpacked)?.filter_map(Result::ok).map(|entry| entry.path());
    folders.find(|path| path.join("bin/kc.sh").exists()).context("the distribution has no bin/kc.sh")
}

fn describe_launch(java: PathBuf, program: PathBuf, realm: Value) -> Launch {
    let command = move |address: SocketAddr, data: &Path| {
        let own = data.join("keycloak");
        if let Err(error) = prepare(&program, &own, &realm) {
            eprintln!("a copy of Keycloak can't be made in {}: {error:#}", own.display());
        }
        let property = |name: &str, path: &Path| format!("-D{name}={}", path.display());
        // As its script does, which would stand between us and the process that is to be ended.
        let mut command = Command::new(&java);
        command.args(["-Xmx384m", "--add-opens=java.base/java.util=ALL-UNNAMED"]);
        command.args(["--add-opens=java.base/java.util.concurrent=ALL-UNNAMED"]);
        command.args(["--add-opens=java.base/java.security=ALL-UNNAMED"]);
        command.args([property("kc.home.dir", &own), property("jboss.server.config.dir", &own.join("conf"))]);
        command.args(["-Djava.util.logging.manager=org.jboss.logmanager.LogManager", "-cp"]);
        command.arg(own.join("lib/quarkus-run.jar")).arg("io.quarkus.bootstrap.runner.QuarkusEntryPoint");
        command.args(["start", "--optimized", "--import-realm", "--cache=local"]);
        command.args(["--http-enabled=true", "--hostname-strict=false"]);
        command.args([format!("--http-host={}", address.ip()), format!("--http-port={}", address.port())]);
        command
    };
    Launch {
        name: "keycloak",
        command: Box::new(command),
        health_path: "/realms/voicemail/.well-known/openid-configuration",
        is_up: |status| status == StatusCode::OK,
    }
}

fn prepare(program: &Path, own: &Path, realm: &Value) -> Result<()> {
    if !own.exists() {
        run(Command::new("cp").arg("-a").args([program, own]))?;
    }
    let import = own.join("data/import");
    std::fs::create_dir_all(&import)?;
    Ok(std::fs::write(import.join("realm.json"), realm.to_string())?)
}

fn describe_realm(redirect: &str) -> Value {
    let mapper = |name: &str, kind: &str, config: Value| json!({ "name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": config });
    json!({
        "realm": "voicemail", "enabled": true, "sslRequired": "none",
        "roles": { "realm": [{ "name": "voicemail-agent" }] },
        "users": [{
            "username": "alice", "enabled": true, "email": "alice@example.org", "emailVerified": true,
            "firstName": "Alice", "lastName": "Agent", "realmRoles": ["voicemail-agent", "offline_access"],
            "credentials": [{ "type": "password", "value": "right", "temporary": false }],
        }],
        "clients": [{
            "clientId": "web", "secret": "web-secret", "protocol": "openid-connect", "publicClient": false,
            "standardFlowEnabled": true, "redirectUris": [redirect],
            "protocolMappers": [
                mapper("audience", "oidc-audience-mapper", json!({
                    "included.custom.audience": "voicemail", "access.token.claim": "true",
                })),
                mapper("name", "oidc-usermodel-attribute-mapper", json!({
                    "user.attribute": "username", "claim.name": "preferred_username", "jsonType.label": "String",
                    "access.token.claim": "true",
                })),
            ],
        }],
    })
}
