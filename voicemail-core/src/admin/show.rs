//! The commands as people run them: what they print, and the exit status that scripts read.
//!
//! Counts, keys and names of mailboxes; never a number or a name of a caller.

use super::{Access, MailboxPlan, RetentionCounts, apply_retention, open};
use crate::clock::World;
use crate::config::TenantConfig;
use crate::model::MailboxId;
use crate::store::StoreError;
use std::io::{self, Write};

/// What a command can end with.
pub type CommandResult = Result<u8, Box<dyn std::error::Error>>;

/// `voicemail admin apply-retention`. 0: done; 1: some mailboxes were left as they are.
///
/// # Errors
/// The store can't be opened or listed, or the output can't be written.
pub async fn run_apply_retention(
    config: &TenantConfig,
    world: &World,
    apply: bool,
    out: &mut (dyn Write + Send),
) -> CommandResult {
    let access = if apply { Access::Write } else { Access::Read };
    let context = open(config, access, world).await?;
    let mut written: io::Result<()> = Ok(());
    let show = |mailbox: &MailboxId, result: Result<&MailboxPlan, &StoreError>| {
        let text = match result {
            Ok(plan) if plan.counts.changed == 0 => return,
            Ok(plan) => format!("({}): {}", plan.class, line(&plan.counts)),
            Err(error) => format!("was left as it is: {error}"),
        };
        if written.is_ok() {
            written = writeln!(out, "mailbox {mailbox} {text}");
        }
    };
    let report = apply_retention(&context, apply, show).await?;
    written?;
    for (class, counts) in &report.classes {
        writeln!(out, "class {class}: {}", line(counts))?;
    }
    if report.failed > 0 {
        writeln!(out, "{} mailboxes were left as they are: run voicemail admin fsck", report.failed)?;
    }
    if !apply {
        writeln!(out, "nothing was changed: repeat with --apply")?;
    }
    Ok(u8::from(report.failed > 0))
}

fn line(counts: &RetentionCounts) -> String {
    let RetentionCounts { messages, changed, shortened, expiring } = counts;
    format!(
        "{messages} messages, {changed} to change, {shortened} of them shortened, {expiring} expire at once"
    )
}
