//! The telephone side's program.

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use voicemail_telephony::config::Config;
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
    },
    /// Examine a configuration without taking calls
    Check {
        /// Configuration, YAML
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Serve { config } => run(&config),
        Command::Check { config } => Config::read(&config).map(drop).map_err(Into::into),
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

fn run(config: &std::path::Path) -> Result<(), Failure> {
    let config = Config::read(config)?;
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
