//! The telephone side's program.

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use voicemail_telephony::calls::Speech;
use voicemail_telephony::config::{Config, Pod};
use voicemail_telephony::prompts::{Catalogue, PromptsError, make};
use voicemail_telephony::serve::serve;
use voicemail_telephony::telemetry::begin_log;

/// The telephone side of a voicemail core.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take calls
    Serve {
        /// Configuration, YAML
        #[arg(long)]
        config: PathBuf,
        #[command(flatten)]
        pod: Pod,
    },
    /// Examine a configuration, its prompts and its menu without taking calls
    Check {
        /// Configuration, YAML
        #[arg(long)]
        config: PathBuf,
        #[command(flatten)]
        pod: Pod,
    },
    /// Make the pack of English prompts; needs flite
    Prompts {
        /// The file to write
        #[arg(long)]
        output: PathBuf,
        /// The SHA-256 that the file must have, in hex
        #[arg(long)]
        sha256: Option<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Serve { config, pod } => run(&config, &pod),
        Command::Check { config, pod } => check(&config, &pod),
        Command::Prompts { output, sha256 } => make_prompts(&output, sha256),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("voicemail-sip: {error}");
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn check(config: &std::path::Path, pod: &Pod) -> Result<(), Failure> {
    let config = Config::read(config, pod)?;
    if let Some(dialogue) = &config.dialogue {
        Speech::read(dialogue)?;
    }
    println!("the configuration can be used");
    Ok(())
}

fn make_prompts(output: &std::path::Path, expected: Option<String>) -> Result<(), Failure> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = make(&Catalogue::english()?, folder.unwrap_or(std::path::Path::new(".")))?;
    if let Some(expected) = expected.filter(|expected| *expected != made.sha256) {
        return Err(PromptsError::Checksum { found: made.sha256, expected }.into());
    }
    let unfinished = output.with_extension("unfinished");
    std::fs::write(&unfinished, &made.bytes)?;
    std::fs::rename(&unfinished, output)?;
    println!("{}  {}", made.sha256, output.display());
    Ok(())
}

fn run(config: &std::path::Path, pod: &Pod) -> Result<(), Failure> {
    let config = Config::read(config, pod)?;
    begin_log();
    // A second choice of the same library changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        };
        Ok(serve(config, stop).await?)
    })
}
