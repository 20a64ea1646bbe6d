//! `cargo cluster`: starts, shows, uses and ends the local Kubernetes that the tests run against.

use std::io::Write;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use voicemail_test_cluster::image::build_image;
use voicemail_test_cluster::{Cluster, Families};
use voicemail_test_machine::cargo::Profile;
use voicemail_test_machine::progress::say;

/// A real Kubernetes on this machine, without Docker: needs root, Linux and (the first time) Go.
#[derive(Parser)]
#[command(name = "cargo cluster", bin_name = "cargo cluster")]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start the cluster, or find, repair or replace the running one.
    Up {
        /// IPv6 comes first, for the node, pods and Services; else the running cluster's order, or IPv4.
        #[arg(long)]
        ipv6_first: bool,
    },
    /// End the cluster and remove everything it left.
    Down,
    /// Tell how the cluster is.
    Status,
    /// Build the image from this workspace, put it on the node and print its name.
    Image {
        /// Build optimized programs, as users run them.
        #[arg(long)]
        release: bool,
    },
    /// Run kubectl against the cluster.
    #[command(disable_help_flag = true)]
    Kubectl {
        /// kubectl's arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run helm against the cluster.
    #[command(disable_help_flag = true)]
    Helm {
        /// helm's arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    voicemail_test_machine::install_crypto();
    act(Arguments::parse().action).await.unwrap_or_else(|error| {
        say(&format!("Error: {error:#}"));
        ExitCode::FAILURE
    })
}

async fn act(action: Action) -> Result<ExitCode> {
    match action {
        Action::Up { ipv6_first } => up(ipv6_first.then_some(Families::Ipv6First)).await,
        Action::Down => down().await,
        Action::Status => status().await,
        Action::Image { release } => image(if release { Profile::Release } else { Profile::Dev }).await,
        Action::Kubectl { arguments } => {
            run(Cluster::ensure_of(None).await?.kubectl().command().args(arguments))
        }
        Action::Helm { arguments } => run(Cluster::ensure_of(None).await?.helm().args(arguments)),
    }
}

async fn up(families: Option<Families>) -> Result<ExitCode> {
    let cluster = Cluster::ensure_of(families).await?;
    say(&format!("cluster {} is ready", cluster.instance_id()));
    print(&format!("export KUBECONFIG={}", cluster.kubeconfig_path().display()));
    Ok(ExitCode::SUCCESS)
}

async fn down() -> Result<ExitCode> {
    Cluster::down().await?;
    say("no local cluster runs");
    Ok(ExitCode::SUCCESS)
}

async fn status() -> Result<ExitCode> {
    print(&Cluster::status().await?);
    Ok(ExitCode::SUCCESS)
}

async fn image(profile: Profile) -> Result<ExitCode> {
    let image = build_image(&Cluster::ensure_of(None).await?, profile).await?;
    print(image.as_str());
    Ok(ExitCode::SUCCESS)
}

/// Writes a line of output; a reader that has gone, as `head` does, is no error.
fn print(line: &str) {
    let _reader_gone = writeln!(std::io::stdout(), "{line}");
}

fn run(command: &mut Command) -> Result<ExitCode> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    Ok(to_exit_code(status))
}

fn to_exit_code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
