//! The commands as people run them: what they print, and the exit status that scripts read.
//!
//! Counts, keys and names of mailboxes; never a number or a name of a caller.

use super::{MailboxPlan, RetentionCounts, apply_retention};
use serde_json::json;
use std::io::{self, Write};
use voicemail_api::config::TenantConfig;
use voicemail_engine::core::tool::{Access, open};
use voicemail_engine::fsck::{Finding, Summary, check, repair};
use voicemail_model::MailboxId;
use voicemail_model::clock::World;
use voicemail_store::StoreError;

/// The result of a command: its exit code, or an error.
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
            Ok(plan) if plan.unknown && plan.counts.messages > 0 => {
                format!(
                    "was left as it is: class {} isn't configured; write it, or give the mailbox another",
                    plan.class
                )
            }
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
    if report.unknown > 0 {
        writeln!(
            out,
            "{} mailboxes of classes that nobody knows were left as they are: configure the classes, or give the mailboxes \
             another class",
            report.unknown
        )?;
    }
    Ok(u8::from(report.failed > 0 || report.unknown > 0))
}

/// `voicemail admin fsck`. 0: clean; 1: there are findings. With `json` each finding is a line, and so is the
/// summary at the end.
///
/// # Errors
/// The check couldn't be carried out, or not wholly; or the output can't be written.
pub async fn run_fsck(
    config: &TenantConfig,
    world: &World,
    mend: bool,
    json: bool,
    out: &mut (dyn Write + Send),
) -> CommandResult {
    let access = if mend { Access::Write } else { Access::Examine };
    let context = open(config, access, world).await?;
    let (mut found, mut written): (Vec<Finding>, io::Result<()>) = (Vec::new(), Ok(()));
    let show = |finding: &Finding| {
        if written.is_ok() {
            written = write_finding(out, finding, json);
        }
        if mend {
            found.push(finding.clone());
        }
    };
    let summary = check(&context, show).await?;
    written?;
    for finding in &found {
        let done = repair(&context, finding).await?;
        if let Some(done) = done.filter(|_| !json) {
            writeln!(out, "{} {}: {done}", finding.code.slug(), finding.key)?;
        } else if let Some(done) = done {
            let line = json!({ "repaired": finding.code.slug(), "key": finding.key, "how": done });
            writeln!(out, "{line}")?;
        }
    }
    write_summary(out, &summary, json)?;
    Ok(u8::from(!summary.is_clean()))
}

fn write_finding(out: &mut (dyn Write + Send), finding: &Finding, json: bool) -> io::Result<()> {
    if json {
        return writeln!(out, "{}", json!({ "finding": finding }));
    }
    let severity = format!("{:?}", finding.severity).to_lowercase();
    let (code, part) = (finding.code.slug(), finding.part.as_deref().unwrap_or_default());
    writeln!(out, "{severity} {code} {} {part}\n    {}", finding.key, finding.remedy)
}

fn write_summary(out: &mut (dyn Write + Send), summary: &Summary, json: bool) -> io::Result<()> {
    if json {
        return writeln!(out, "{}", json!({ "summary": summary }));
    }
    let list = |counts: &mut dyn Iterator<Item = (String, u64)>| {
        let parts: Vec<String> = counts.map(|(name, count)| format!("{name} {count}")).collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    };
    let own = |map: &std::collections::BTreeMap<&'static str, u64>| {
        list(&mut map.iter().map(|(name, count)| ((*name).to_owned(), *count)))
    };
    let checked = list(&mut summary.checked.iter().map(|(name, count)| (name.clone(), *count)));
    writeln!(out, "checked: {checked}")?;
    writeln!(out, "findings: {}; notes: {}", own(&summary.findings), own(&summary.notes))
}

fn line(counts: &RetentionCounts) -> String {
    let RetentionCounts { messages, changed, shortened, expiring } = counts;
    format!(
        "{messages} messages, {changed} to change, {shortened} of them shortened, {expiring} expire at once"
    )
}
