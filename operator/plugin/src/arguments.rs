//! The plugin's flags, named as kubectl names them.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Voicemail tenants and data-subject requests.
///
/// Exit codes: 0 done; 1 a local fault; 2 wrong usage; 3 not there, or not in a state for it; 4 no right to do it;
/// 5 not reachable, try again; 8 a receipt isn't genuine.
#[derive(Parser)]
#[command(name = "kubectl-voicemail", bin_name = "kubectl voicemail", version)]
pub struct Arguments {
    /// Namespace of the tenant; the context's when absent
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// Context of the kubeconfig; the current one when absent
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Path of the kubeconfig
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Command to run
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Show how a tenant is: state, conditions, pods, regions, storage, open requests
    Status {
        /// The tenant
        tenant: String,
    },
    /// Data-subject requests
    Gdpr {
        /// Command about data-subject requests
        #[command(subcommand)]
        command: GdprCommand,
    },
    /// List a tenant's mailboxes
    Mailboxes {
        /// The tenant
        tenant: String,
        /// How to get there
        #[command(flatten)]
        reach: Reach,
    },
    /// Print the logs of a tenant's pods
    Logs {
        /// The tenant
        tenant: String,
        /// Which of them
        #[command(flatten)]
        options: LogOptions,
    },
    /// Write a tenant's objects, events, logs and metrics into an archive for support; no Secret, token or number
    Report {
        /// The tenant
        tenant: String,
        /// The archive; voicemail-report-NAMESPACE-TENANT.tar.gz when absent
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Where the operator is, whose log and metrics belong into it
        #[arg(long, default_value = "voicemail-system", value_name = "NAMESPACE")]
        operator_namespace: String,
    },
}

/// The commands about data-subject requests.
#[derive(Subcommand)]
pub enum GdprCommand {
    /// List the requests
    List {
        /// Only those of that tenant
        tenant: Option<String>,
    },
    /// Show a request
    Show {
        /// The GdprRequest
        request: String,
    },
    /// Fetch the files of an export
    Export {
        /// The GdprRequest
        request: String,
        /// Folder for the files; it is made if it isn't there
        #[arg(short, long, value_name = "FOLDER")]
        output: PathBuf,
        /// How to get there
        #[command(flatten)]
        reach: Reach,
    },
    /// Check a receipt with the public key alone, without a connection
    Verify {
        /// The receipt, as GET …/receipts/… gave it
        receipt: PathBuf,
        /// Public key: the answer of GET …/gdpr/keys, or one raw key in base64
        #[arg(long)]
        key: PathBuf,
    },
}

/// How a tenant's API is reached.
#[derive(Args)]
pub struct Reach {
    /// Service account to act as, NAMESPACE/NAME; the first of the tenant's with the right role when absent
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// PEM file with the tenant's authority; read from its Secret when absent, which takes the right to read that
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Token to use instead of a service account's
    #[arg(long, env = "VOICEMAIL_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// Which lines of the logs.
#[derive(Args)]
pub struct LogOptions {
    /// Go on with new lines
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last lines of each pod
    #[arg(long, value_name = "LINES")]
    pub tail: Option<i64>,
    /// Only lines younger than that, such as 90s, 15m or 2h
    #[arg(long, value_name = "TIME", value_parser = parse_age)]
    pub since: Option<i64>,
    /// The logs of the containers before their last restart
    #[arg(short, long)]
    pub previous: bool,
}

fn parse_age(text: &str) -> Result<i64, String> {
    let age = voicemail_api::config::parse_duration(text).map_err(|error| error.to_string())?;
    i64::try_from(age.as_secs()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn flags_fit_together() {
        Arguments::command().debug_assert();
        let read = |words: &str| Arguments::try_parse_from(words.split(' '));
        let given = read("kubectl-voicemail logs acme -n voice --since 15m").unwrap();
        assert_eq!(given.namespace.as_deref(), Some("voice"));
        assert!(matches!(given.command, Command::Logs { options: LogOptions { since: Some(900), .. }, .. }));
        assert!(read("kubectl-voicemail gdpr verify receipt.json").is_err(), "the key is needed");
    }
}
