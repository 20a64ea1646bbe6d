//! Flags, as the vendor's script has them, and what is new.

use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use voicemail_api::gdpr::Operation;

/// Carries out data-subject requests about voicemail.
///
/// Exit codes: 0 done; 1 a local fault; 2 wrong usage; 3 refused; 4 not signed in; 5 not reachable, try again; 6 a second
/// person must approve; 7 not done in time; 8 a receipt isn't genuine, or a chain isn't whole; 9 denied, cancelled or taken back; 10 ccid missing
/// or unknown.
#[derive(Parser)]
#[command(name = "gdpr", version, args_conflicts_with_subcommands = false)]
pub struct Arguments {
    /// Input file, or a folder with input.json
    #[arg(short, long, value_name = "PATH")]
    pub input: Option<PathBuf>,
    /// Folder for output.json, exported media and execution.log; made if it isn't there
    #[arg(short, long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// User token; @FILE reads it from a file
    #[arg(short, long, value_name = "TOKEN", env = "GDPR_USER_TOKEN", hide_env_values = true)]
    pub user: Option<String>,
    /// The user token is name and password in base64 (Basic)
    #[arg(long)]
    pub basic: bool,
    /// Client credentials: id:secret, its base64, or the secret alone with the id in GWS_CLIENT_ID; @FILE reads them from a file
    #[arg(
        short,
        long,
        value_name = "CREDENTIALS",
        conflicts_with = "user",
        env = "GDPR_CLIENT",
        hide_env_values = true
    )]
    pub client: Option<String>,
    /// The operation to carry out
    #[arg(short = 'p', long, value_enum)]
    pub operation: Option<Verb>,
    /// Find and count, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Wait until it is done; exports are waited for anyway
    #[arg(long)]
    pub wait: bool,
    /// Seconds to wait at most
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    pub timeout: u64,
    /// Address of the tenant's API, such as https://voicemail-acme:8081
    #[arg(long, env = "GDPR_URL", global = true)]
    pub url: Option<String>,
    /// JSON file with an object from ccid to address, where one script serves many tenants
    #[arg(long, env = "GDPR_TENANTS", value_name = "FILE", global = true)]
    pub tenants: Option<PathBuf>,
    /// The tenant, where there is no input file to name it
    #[arg(long, env = "GDPR_CCID", global = true)]
    pub ccid: Option<String>,
    /// PEM file of a private authority
    #[arg(long, env = "GDPR_CA", value_name = "FILE", global = true)]
    pub ca: Option<PathBuf>,
    /// A further command
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The further commands.
#[derive(Subcommand)]
pub enum Command {
    /// Show a case and its runs
    Status {
        /// The case
        case: String,
    },
    /// Check a receipt with the public key alone, without a connection; or, with --all, the chains of all receipts and of the audit
    /// log's seals
    Verify {
        /// The receipt, as GET …/receipts/… gave it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        receipt: Option<PathBuf>,
        /// Fetch the chains of receipts and seals, and say what is missing or changed
        #[arg(long)]
        all: bool,
        /// The newest links as they are kept outside the store: head.json of the ledger's Secret
        #[arg(long, requires = "all", value_name = "FILE")]
        head: Option<PathBuf>,
        /// Public key: the answer of GET …/gdpr/keys, or one raw key in base64
        #[arg(long)]
        key: PathBuf,
    },
    /// Print the register of requests
    Report {
        /// Received from then on, such as 2026-01-01T00:00:00Z
        #[arg(long)]
        from: String,
        /// Received before then; now when absent
        #[arg(long)]
        to: Option<String>,
        /// How
        #[arg(long, value_enum, default_value_t = Format::Csv)]
        format: Format,
    },
    /// Print completions for a shell
    Completions {
        /// Which
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// How a report is printed.
#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// A line for each request, with a header.
    Csv,
    /// A list.
    Json,
}

/// The script's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum Verb {
    /// Erasure, Art. 17
    ForgetMe,
    /// Access, Art. 15
    ExportMe,
    /// Take an erasure back
    #[value(alias = "undoforgot")]
    UndoForget,
}

impl Verb {
    /// The same in the API.
    pub fn operation(self) -> Operation {
        match self {
            Self::ForgetMe => Operation::ForgetMe,
            Self::ExportMe => Operation::ExportMe,
            Self::UndoForget => Operation::UndoForget,
        }
    }
}
