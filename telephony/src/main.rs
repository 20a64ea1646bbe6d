//! The telephone side's program.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use voicemail_telephony::calls::Speech;
use voicemail_telephony::config::{Config, Pod};
use voicemail_telephony::dialogue::{Menu, menu::CLASSIC};
use voicemail_telephony::prompts::{
    Catalogue, Language, Own, Pack, PromptsError, list_clips, make, read_own,
};
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
    /// Make the pack of English prompts, or help to make prompts of one's own
    Prompts(Prompts),
}

/// Ways to make prompts, or to help with one's own.
#[derive(Args)]
struct Prompts {
    /// The pack of English prompts to write; needs flite
    #[arg(long, required_unless_present_any = ["list", "folder"], conflicts_with_all = ["list", "folder"])]
    output: Option<PathBuf>,
    /// The SHA-256 that the file must have, in hex
    #[arg(long, requires = "output")]
    sha256: Option<String>,
    /// Print the clips' names, each with its English text: those of the language of --folder, if that is given
    #[arg(long)]
    list: bool,
    /// A folder of prompts of one's own; without --list, examine it
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Serve { config, pod } => run(&config, &pod),
        Command::Check { config, pod } => check(&config, &pod),
        Command::Prompts(prompts) => prompts.obey(),
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
        tell(Speech::read(dialogue)?.faults())?;
    }
    println!("the configuration can be used");
    Ok(())
}

/// Fails with what of a tenant's own prompts can't be used.
fn tell(faults: &[String]) -> Result<(), PromptsError> {
    if faults.is_empty() { Ok(()) } else { Err(PromptsError::Faults(faults.to_vec())) }
}

impl Prompts {
    fn obey(self) -> Result<(), Failure> {
        let own = self.folder.as_deref().map(read_own);
        match (self.output, own) {
            (Some(output), _) => make_prompts(&output, self.sha256),
            (None, own) if self.list => list(own.as_ref()),
            (None, Some(own)) => examine(own),
            (None, None) => Ok(()),
        }
    }
}

fn list(own: Option<&Own>) -> Result<(), Failure> {
    let language = match own.map(Own::language).transpose()?.flatten() {
        Some(language) => language.clone(),
        None => Language::of(&Catalogue::english()?.language)?,
    };
    print!("{}", list_clips(&language, &Menu::parse(CLASSIC, |_| true)?.words())?);
    Ok(())
}

/// Without the audio of the built-in prompts: their names are known.
fn examine(own: Own) -> Result<(), Failure> {
    let catalogue = Catalogue::english()?;
    let silent = catalogue.clips.into_keys().map(|name| (name, Default::default())).collect();
    let prompts =
        own.over(&Pack::of(&catalogue.language, silent), &Menu::parse(CLASSIC, |_| true)?.words())?;
    tell(prompts.faults())?;
    println!("{} clips of the language {} can be used", prompts.own(), prompts.language.tag());
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
