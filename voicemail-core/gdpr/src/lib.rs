//! The `gdpr` command: data-subject rights from a shell, a scheduler or a pipeline, with the flags of the vendor's script.
//!
//! ```text
//!  input.json ─▶ tenant's address (by ccid, or the one there is) ─▶ credentials ─▶ POST /gdpr/… ─▶ output.json,
//!                                              media (exports), execution.log ─▶ exit code
//! ```
//!
//! Nothing is printed or logged but cases, runs and counts: identifiers stand in `output.json` alone, for which they
//! were asked. What can go wrong is a [`Failure`], and each kind has an exit code of its own.

#![allow(clippy::disallowed_methods, reason = "a command waits by the clock of the machine that it runs on")]

mod arguments;
mod client;
mod credentials;
mod failure;
mod files;
mod operation;
mod proof;
mod report;

pub use arguments::{Arguments, Command};
pub use failure::Failure;

use clap::{CommandFactory, Parser};
use std::process::ExitCode;

/// Runs the command to its end.
pub async fn run() -> ExitCode {
    let outcome = dispatch(Arguments::parse()).await;
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("gdpr: {failure}\n"));
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    match &arguments.command {
        None => operation::carry_out(&arguments).await,
        Some(Command::Status { case }) => operation::show_status(&arguments, case).await,
        Some(Command::Verify { receipt: Some(receipt), key, .. }) => proof::verify(receipt, key),
        Some(Command::Verify { receipt: None, key, head, .. }) => {
            proof::verify_all(&arguments, key, head.as_deref()).await
        }
        Some(Command::Report { from, to, format }) => {
            report::print(&arguments, from, to.as_deref(), *format).await
        }
        Some(Command::Completions { shell }) => {
            clap_complete::generate(*shell, &mut Arguments::command(), "gdpr", &mut std::io::stdout());
            Ok(())
        }
        Some(Command::Man) => {
            let page = clap_mangen::Man::new(Arguments::command());
            page.render(&mut std::io::stdout()).map_err(|error| Failure::Local(error.to_string()))
        }
    }
}
