//! Azurite: Microsoft's emulator of Azure Blob Storage, with accounts and keys of the test's choice.
//!
//! `tests/servers/azurite` pins it and all that it brings; `npm ci` installs it once. An account may have two
//! keys, as on Azure, and the accounts may change between two runs on the same data. Above some 1,000 objects
//! it becomes slow.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::servers::azure_admin::{AzureAccount, AzureEndpoint};
use crate::servers::npm;
use crate::servers::process::{Launch, ServerProcess};

const PACKAGE: &str = include_str!("../../../servers/azurite/package.json");
const LOCK: &str = include_str!("../../../servers/azurite/package-lock.json");

/// An Azurite process with data of its own.
#[derive(Debug)]
pub struct Azurite {
    process: ServerProcess,
    program: PathBuf,
    accounts: Vec<AzureAccount>,
}

impl Azurite {
    /// Installs it if need be, starts it with these accounts, and waits until it answers.
    pub async fn start(listen: IpAddr, accounts: &[AzureAccount]) -> Result<Self> {
        let program = tokio::task::spawn_blocking(install).await??;
        let process = ServerProcess::start(describe_launch(&program, accounts), listen).await?;
        Ok(Self { process, program, accounts: accounts.to_vec() })
    }

    /// Where and with which key to reach this account; an error when there is no such account.
    pub fn endpoint(&self, account: &str) -> Result<AzureEndpoint> {
        let found = self.accounts.iter().find(|one| one.name == account);
        let found = found.with_context(|| format!("Azurite has no account {account}"))?;
        let url = format!("http://{}/{account}", self.process.address());
        Ok(AzureEndpoint::new(url, found.clone()))
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// The accounts and keys of the next start; keys of before are refused from then on.
    pub fn set_accounts(&mut self, accounts: &[AzureAccount]) {
        self.process.set_launch(describe_launch(&self.program, accounts));
        self.accounts = accounts.to_vec();
    }

    /// Ends it in order; its data stays.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop().await
    }

    /// Starts it on the same port and data, ending it first if it runs.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process.start_again().await
    }

    /// Ends it as a crash does; its data stays, but for what it hadn't written yet.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// The last lines that it has printed.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Folder of its data, to look for traces.
    pub fn data_folder(&self) -> PathBuf {
        self.process.data_folder()
    }
}

fn describe_launch(program: &Path, accounts: &[AzureAccount]) -> Launch {
    let (program, accounts) = (program.to_owned(), write_accounts(accounts));
    let command = move |address: SocketAddr, data: &Path| {
        let mut command = Command::new("node");
        command.arg(&program).arg("--location").arg(data);
        command.args(["--blobHost", &address.ip().to_string(), "--blobPort", &address.port().to_string()]);
        command.args(["--silent", "--loose", "--skipApiVersionCheck", "--disableTelemetry"]);
        command.args(["--disableProductStyleUrl"]).env("AZURITE_ACCOUNTS", &accounts);
        command
    };
    // Without a signature it refuses, which is an answer too.
    Launch { name: "Azurite", command: Box::new(command), health_path: "/", is_up: |_| true }
}

/// `name:key` or `name:key:second key`, joined by semicolons.
fn write_accounts(accounts: &[AzureAccount]) -> String {
    let written = accounts.iter().map(|account| {
        let keys = [Some(account.key.as_str()), account.second_key.as_deref()];
        let parts: Vec<&str> = [Some(account.name.as_str())].into_iter().chain(keys).flatten().collect();
        parts.join(":")
    });
    written.collect::<Vec<_>>().join(";")
}

fn install() -> Result<PathBuf> {
    Ok(npm::install("azurite", PACKAGE, LOCK)?.join("node_modules/azurite/dist/src/blob/main.js"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_written_with_one_or_two_keys() {
        let one = AzureAccount { name: "a".into(), key: "k".into(), second_key: None };
        let two = AzureAccount { name: "b".into(), key: "l".into(), second_key: Some("m".into()) };
        assert_eq!(write_accounts(&[one, two]), "a:k;b:l:m");
    }
}
