//! `kubectl voicemail`, a plugin: how a tenant is, its data-subject requests, its mailboxes, its logs, and a report for
//! support.
//!
//! ```text
//!  status, gdpr list, gdpr show, logs, report ─▶ API server, with the rights of the calling user
//!  mailboxes, gdpr export                     ─▶ port-forward to a pod, HTTPS, token of a service account of the tenant's
//!  gdpr verify                                ─▶ no connection
//! ```
//!
//! It changes nothing. The API server's proxy of Services can't be used for the tenant's API: it takes the header with
//! the token away. What can go wrong is a [`PluginError`], and each kind has an exit code of its own.

mod arguments;
mod failure;
mod logs;
mod mailboxes;
mod place;
mod reach;
mod redact;
mod report;
mod requests;
mod status;
mod table;

pub use arguments::{Arguments, Command};
pub use failure::PluginError;

use arguments::GdprCommand;
use clap::Parser;
use place::Place;
use std::io::Write;
use std::process::ExitCode;

/// Runs the command to its end.
pub async fn run() -> ExitCode {
    match dispatch(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "kubectl voicemail: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn dispatch(arguments: Arguments) -> Result<(), PluginError> {
    if let Command::Gdpr { command: GdprCommand::Verify { receipt, key } } = &arguments.command {
        return print(&requests::verify(receipt, key)?);
    }
    let place = Place::connect(&arguments).await?;
    match &arguments.command {
        Command::Status { tenant } => print(&status::describe(&place, tenant).await?),
        Command::Mailboxes { tenant, reach } => print(&mailboxes::list(&place, tenant, reach).await?),
        Command::Logs { tenant, options } => logs::print(&place, tenant, options).await,
        Command::Report { tenant, output, operator_namespace } => {
            print(&report::write(&place, tenant, output.as_deref(), operator_namespace).await?)
        }
        Command::Gdpr { command: GdprCommand::List { tenant } } => {
            print(&requests::list(&place, tenant.as_deref()).await?)
        }
        Command::Gdpr { command: GdprCommand::Show { request } } => {
            print(&requests::show(&place, request).await?)
        }
        Command::Gdpr { command: GdprCommand::Export { request, output, reach } } => {
            print(&requests::export(&place, request, output, reach).await?)
        }
        Command::Gdpr { command: GdprCommand::Verify { .. } } => Ok(()),
    }
}

/// A reader that has gone, as `head` does, is no error.
fn print(text: &str) -> Result<(), PluginError> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
