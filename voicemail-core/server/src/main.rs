//! The data plane's program: serves one tenant, or examines its store.

use clap::{Parser, Subcommand, ValueEnum};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use voicemail_api::config::{EmailContent, TenantConfig};
use voicemail_server::admin::{Progress, Purpose, Retirement};
use voicemail_server::server::Server;
use voicemail_server::{admin, configuration, demonstration, http};
use voicemail_store::report::probe_regions;
use voicemail_store::volume;

/// glibc's gives a new connection the room of an old one's, whose traces are then memory that the connection only seems to use.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Where the configuration is in a pod that the operator runs.
const POD_CONFIG: &str = "/etc/voicemail/config/config.yaml";

/// At most so many threads for work that blocks: twice what a volume's calls take at a time. Without a limit of its own tokio starts 512 for
/// them when they are many and short, whose stacks and caches stay for ten seconds.
const BLOCKING_THREADS: usize = 128;

/// Voicemail for one tenant: mailboxes, message waiting indication and data-subject rights.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the tenant that a configuration names
    Serve {
        /// Configuration, YAML
        #[arg(long)]
        config: PathBuf,
    },
    /// Look at the pages and the API on this machine alone: makes a store, keys, people and messages, and is no service
    Dev {
        /// Folder for its data
        #[arg(long, default_value = "voicemail-data")]
        data: PathBuf,
        /// Loopback address to listen on
        #[arg(long, default_value = "127.0.0.1:8420")]
        listen: SocketAddr,
    },
    /// Examine whether the tenant's stores keep the promises that are built upon
    Probe {
        /// Configuration, YAML
        #[arg(long)]
        config: PathBuf,
        /// How to print the report
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Work on a tenant's stores, beside running cores
    Admin {
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// Try to take a lock that another process holds
    #[command(hide = true)]
    ProbeLock {
        /// The locked file
        file: PathBuf,
    },
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Subcommand)]
enum AdminCommand {
    /// Give messages the retention that their mailbox's class has now
    ApplyRetention {
        /// Configuration, YAML
        #[arg(long)]
        config: PathBuf,
        /// Change the messages; otherwise only say what would change
        #[arg(long)]
        apply: bool,
    },
    /// After a restore: erase again what was erased since the backup was made
    ReplayErasures {
        /// Configuration, YAML
        #[arg(long, default_value = POD_CONFIG)]
        config: PathBuf,
        /// The ledger as `GET /api/v1/gdpr/ledger` gave it, kept outside the store; may be compressed by gzip. By
        /// default the one beside the configuration's `gdpr.expectedHead`, where the operator keeps it
        #[arg(long)]
        ledger: Option<PathBuf>,
    },
    /// Let go of a tenant's stores, or remove all that it has in them, once no core serves it: 0 done, 1 something
    /// stands in the way, 2 couldn't. Without a flag only say what is there
    Retire(RetireArguments),
    /// Print an e-mail as readers would get it, about a message that nobody left; nothing is sent, no store is asked
    EmailPreview(PreviewArguments),
    /// Check every invariant over the whole store: 0 clean, 1 findings, 2 couldn't check
    Fsck {
        /// Configuration, YAML
        #[arg(long)]
        config: PathBuf,
        /// Repair what is safe to repair
        #[arg(long)]
        repair: bool,
        /// A line of JSON for each finding and for the summary
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args)]
struct PreviewArguments {
    /// Configuration, YAML
    #[arg(long, default_value = POD_CONFIG)]
    config: PathBuf,
    /// Folder with the tenant's own words, instead of the configuration's
    #[arg(long)]
    templates: Option<PathBuf>,
    /// Language of the reader: de, en, es, fr or it
    #[arg(long, default_value = "en")]
    language: String,
    /// How much it tells: note, caller, link or audio
    #[arg(long, default_value = "audio", value_parser = read_content)]
    content: EmailContent,
    /// How many messages it is about, 1 to 50
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=50))]
    messages: u8,
}

fn read_content(text: &str) -> Result<EmailContent, String> {
    serde_json::from_value(text.into()).map_err(|_| "write note, caller, link or audio".into())
}

#[derive(clap::Args)]
struct RetireArguments {
    /// Configuration, YAML
    #[arg(long, default_value = POD_CONFIG)]
    config: PathBuf,
    /// Only wait until nothing stands in the way of letting this cluster go, or of removing everything; cores may serve
    #[arg(long, value_enum, conflicts_with_all = ["deregister", "remove"])]
    await_clear: Option<ClearFor>,
    /// Let a cluster go; all data stays
    #[arg(long, conflicts_with = "remove")]
    deregister: bool,
    /// Which cluster; the configuration's own when absent
    #[arg(long, requires = "deregister")]
    cluster: Option<String>,
    /// Not while a data-subject request is open or a message is under a legal hold
    #[arg(long, requires = "deregister")]
    unless_hindered: bool,
    /// Remove everything, for ever
    #[arg(long, requires = "confirm")]
    remove: bool,
    /// The tenant's id, typed once more
    #[arg(long, requires = "remove")]
    confirm: Option<String>,
    /// Answer /readyz at the configuration's metrics address with what is going on, as a pod of the operator's does
    #[arg(long)]
    report: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ClearFor {
    Deregister,
    Remove,
}

impl RetireArguments {
    fn retirement(&self, config: &TenantConfig) -> Retirement {
        match (self.await_clear, self.deregister, &self.confirm) {
            (Some(ClearFor::Deregister), ..) => Retirement::Await(Purpose::Deregister),
            (Some(ClearFor::Remove), ..) => Retirement::Await(Purpose::Remove),
            (None, _, Some(confirmed)) => Retirement::Remove(confirmed.clone()),
            (None, true, None) => Retirement::Deregister {
                cluster: self.cluster.clone().unwrap_or(config.cluster.clone()),
                unless_hindered: self.unless_hindered,
            },
            (None, false, None) => Retirement::Look,
        }
    }
}

type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    // First of all: with two providers around, TLS would panic at its first use.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outcome = match Arguments::parse().command {
        Command::Serve { config } => run(serve(&config)),
        Command::Dev { data, listen } => run(demonstrate(demonstration::Options { data, listen })),
        Command::Probe { config, output } => run(examine(&config, output)),
        Command::Admin { command } => run(administer(&command)),
        Command::ProbeLock { file } => Ok(exit(volume::hold_lock_probe(&file))),
        Command::Openapi => print_document(),
    };
    outcome.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "voicemail: {error}");
        ExitCode::FAILURE
    })
}

fn exit(status: i32) -> ExitCode {
    u8::try_from(status).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn run(work: impl Future<Output = Outcome>) -> Outcome {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().max_blocking_threads(BLOCKING_THREADS).build()?.block_on(work)
}

async fn serve(config: &Path) -> Outcome {
    voicemail_telemetry::start_logs();
    let server = Server::bind(config, voicemail_store::real_world())?;
    server.run(stop_on_signal()?).await;
    Ok(ExitCode::SUCCESS)
}

async fn demonstrate(options: demonstration::Options) -> Outcome {
    voicemail_telemetry::start_logs_from("warn");
    let ready = |given: demonstration::Demonstration| {
        let _ = writeln!(std::io::stdout(), "{given}");
    };
    demonstration::run(&options, voicemail_store::real_world(), stop_on_signal()?, ready).await?;
    Ok(ExitCode::SUCCESS)
}

/// Cancelled when the process is told to end.
fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.cancel();
    });
    Ok(stop)
}

async fn examine(config: &Path, output: Output) -> Outcome {
    let config = configuration::parse(&std::fs::read_to_string(config)?)?;
    let report = probe_regions(&config, &voicemail_store::real_world()).await;
    let text = match output {
        Output::Text => report.to_text(),
        Output::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(if report.trusted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// 2: it couldn't be done at all.
async fn administer(command: &AdminCommand) -> Outcome {
    let outcome = administer_store(command).await;
    Ok(outcome.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "voicemail: {error}");
        ExitCode::from(2)
    }))
}

async fn administer_store(command: &AdminCommand) -> Outcome {
    let (world, mut out) = (voicemail_store::real_world(), std::io::stdout());
    let read = |file: &Path| -> Result<TenantConfig, Box<dyn std::error::Error>> {
        Ok(configuration::parse_of(file, &std::fs::read_to_string(file)?)?)
    };
    let status = match command {
        AdminCommand::ApplyRetention { config, apply } => {
            admin::run_apply_retention(&read(config)?, &world, *apply, &mut out).await?
        }
        AdminCommand::ReplayErasures { config, ledger } => {
            let config = read(config)?;
            let ledger = admin::read_ledger(&config, ledger.as_deref())?;
            admin::run_replay_erasures(&config, &world, &ledger, &mut out).await?
        }
        AdminCommand::Retire(arguments) => {
            let config = read(&arguments.config)?;
            let address = config.listen.metrics;
            let progress =
                if arguments.report { Progress::serve(address).await? } else { Progress::silent() };
            admin::run_retire(&config, &world, &arguments.retirement(&config), &progress, &mut out).await?
        }
        AdminCommand::EmailPreview(arguments) => {
            let mut config = read(&arguments.config)?;
            if let (Some(email), Some(folder)) = (&mut config.email, &arguments.templates) {
                email.templates_dir = Some(folder.clone());
            }
            let PreviewArguments { language, content, messages, .. } = arguments;
            out.write_all(&voicemail_mailer::preview(&config, language, *content, *messages, world.now())?)?;
            0
        }
        AdminCommand::Fsck { config, repair, json } => {
            admin::run_fsck(&read(config)?, &world, *repair, *json, &mut out).await?
        }
    };
    Ok(ExitCode::from(status))
}

fn print_document() -> Outcome {
    writeln!(std::io::stdout(), "{}", http::openapi().to_pretty_json()?)?;
    Ok(ExitCode::SUCCESS)
}
