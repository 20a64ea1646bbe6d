//! The three operations, from the input to what is left in the output folder, and the look at a case.

use super::client::{connect, lost};
use super::files::{Output, read_input};
use super::{Arguments, Failure};
use futures::StreamExt;
use serde_json::json;
use std::io::Write;
use std::time::{Duration, Instant};
use voicemail_api::gdpr::{GdprAnswer, Operation, RunState, RunView};
use voicemail_client::Client;

const POLL: Duration = Duration::from_secs(1);

pub(super) async fn carry_out(arguments: &Arguments) -> Result<(), Failure> {
    let (Some(input), Some(output), Some(verb)) = (&arguments.input, &arguments.output, arguments.operation)
    else {
        return Err(Failure::Usage("name input (-i), output (-o) and operation (-p); see gdpr --help"));
    };
    let mut body = read_input(input)?;
    let mut output = Output::open(output)?;
    let operation = verb.operation();
    output.tell(json!({ "event": "started", "operation": operation.segment(), "case": body.caseid }))?;
    let outcome = exercise(arguments, operation, &mut body, &mut output).await;
    if let Err(failure) = &outcome {
        output.tell(
            json!({ "event": "failed", "exitCode": failure.exit_code(), "reason": failure.to_string() }),
        )?;
    }
    outcome
}

async fn exercise(
    arguments: &Arguments,
    operation: Operation,
    body: &mut voicemail_api::gdpr::GdprBody,
    output: &mut Output,
) -> Result<(), Failure> {
    body.dry_run |= arguments.dry_run;
    let tenant = connect(arguments, body.ccid.as_deref()).await?;
    let mut answer = tenant.open(operation, body).await?;
    tell_run(output, "accepted", &answer.run)?;
    if operation == Operation::ExportMe && !body.dry_run {
        output.claim(&answer.run.id, &digest_of_people(&answer))?;
    }
    if answer.run.state.is_under_way() {
        answer = await_answer((&tenant, operation), arguments, body, answer, output).await?;
    }
    let waits = arguments.wait || operation == Operation::ExportMe;
    if waits && !body.dry_run {
        answer.run = follow(&tenant, arguments, &answer.caseid, answer.run, output).await?;
    }
    let whole = serde_json::to_value(&answer).map_err(|error| Failure::Local(error.to_string()))?;
    if operation == Operation::ExportMe && !body.dry_run {
        let vendor = json!({ "caseid": whole["caseid"], "consumers": whole["consumers"] });
        let media = download(&tenant, &answer.caseid, output).await?;
        output.write_answer(&vendor)?;
        output.tell(json!({ "event": "exported", "media": media }))?;
    } else {
        output.write_answer(&whole)?;
    }
    tell_run(output, "done", &answer.run)?;
    judge(&answer.run)
}

/// The whole answer to a request whose work took longer than an answer may: the run is followed until that is done, and
/// the request repeated, which gives its own run with the messages' ids.
async fn await_answer(
    (tenant, operation): (&Client, Operation),
    arguments: &Arguments,
    body: &voicemail_api::gdpr::GdprBody,
    mut answer: GdprAnswer,
    output: &mut Output,
) -> Result<GdprAnswer, Failure> {
    let end = Instant::now() + Duration::from_secs(arguments.timeout);
    while answer.run.state.is_under_way() {
        if Instant::now() >= end {
            return Err(Failure::NotInTime(answer.run.id));
        }
        tokio::time::sleep(POLL).await;
        let found = match tenant.read_case(&answer.caseid).await.map_err(Failure::from) {
            // The run goes on by itself.
            Err(Failure::TryAgain(_)) => continue,
            other => other?.runs.into_iter().find(|found| found.id == answer.run.id),
        };
        answer.run = found.ok_or_else(|| Failure::Refused(format!("run {} is gone", answer.run.id)))?;
    }
    tell_run(output, "changed", &answer.run)?;
    // Of a run that is being carried out a repetition would begin another.
    if !matches!(answer.run.state, RunState::Marked | RunState::Ready | RunState::Undone) {
        return Ok(answer);
    }
    match tenant.open(operation, body).await.map_err(Failure::from) {
        Ok(again) if again.run.id == answer.run.id => Ok(again),
        Ok(_) | Err(Failure::TryAgain(_)) => Ok(answer),
        Err(failure) => Err(failure),
    }
}

/// Tells the people of one answer from another's: the case and each identifier as it was given.
fn digest_of_people(answer: &GdprAnswer) -> String {
    let mut people: Vec<&str> = answer.consumers.keys().map(String::as_str).collect();
    people.sort_unstable();
    let text = format!("{}\n{}", answer.caseid, people.join("\n"));
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()))
}

fn tell_run(output: &mut Output, event: &str, run: &RunView) -> Result<(), Failure> {
    output.tell(json!({ "event": event, "run": run.id, "state": run.state, "matched": run.matched,
                        "erased": run.erased, "exported": run.exported, "dueAt": run.due_at }))
}

/// Translates the run's state into a failure, which has an exit code.
fn judge(run: &RunView) -> Result<(), Failure> {
    match run.state {
        RunState::AwaitingApproval => Err(Failure::AwaitingApproval(run.id.clone())),
        RunState::Denied | RunState::Cancelled => Err(ended(run)),
        _ => Ok(()),
    }
}

fn ended(run: &RunView) -> Failure {
    let state = serde_json::to_value(run.state).ok().and_then(|state| state.as_str().map(str::to_owned));
    Failure::EndedOtherwise(run.id.clone(), state.unwrap_or_default())
}

async fn follow(
    tenant: &Client,
    arguments: &Arguments,
    case: &str,
    mut run: RunView,
    output: &mut Output,
) -> Result<RunView, Failure> {
    use RunState as S;
    let end = Instant::now() + Duration::from_secs(arguments.timeout);
    let undo = arguments.operation == Some(super::arguments::Verb::UndoForget);
    loop {
        match run.state {
            S::Purged | S::Ready | S::DryRun => return Ok(run),
            S::Undone if undo => return Ok(run),
            S::Denied | S::Cancelled | S::Undone | S::Expired => return Err(ended(&run)),
            S::AwaitingApproval => return Err(Failure::AwaitingApproval(run.id)),
            _ if Instant::now() >= end => return Err(Failure::NotInTime(run.id)),
            _ => tokio::time::sleep(POLL).await,
        }
        let now = match tenant.read_case(case).await.map_err(Failure::from) {
            // The run goes on by itself.
            Err(Failure::TryAgain(_)) => continue,
            other => other?.runs.into_iter().find(|found| found.id == run.id),
        };
        let Some(now) = now else { return Err(Failure::Refused(format!("run {} is gone", run.id))) };
        if now.state != run.state {
            tell_run(output, "changed", &now)?;
        } else if now.erased != run.erased {
            tell_run(output, "progressed", &now)?;
        }
        run = now;
    }
}

async fn download(tenant: &Client, case: &str, output: &Output) -> Result<u64, Failure> {
    let answer = tenant.export(case).await?;
    let (mut archive, mut chunks) = (output.archive()?, answer.bytes_stream());
    while let Some(chunk) = chunks.next().await {
        archive.write_all(&chunk.map_err(lost)?).map_err(|error| Failure::Local(error.to_string()))?;
    }
    output.unpack(archive.path())
}

pub(super) async fn show_status(arguments: &Arguments, case: &str) -> Result<(), Failure> {
    let tenant = connect(arguments, None).await?;
    let view = tenant.read_case(case).await?;
    let text = serde_json::to_string_pretty(&view).map_err(|error| Failure::Local(error.to_string()))?;
    writeln!(std::io::stdout(), "{text}").map_err(|error| Failure::Local(error.to_string()))
}
