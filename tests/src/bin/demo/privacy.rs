//! The data subject's rights, exercised by applying `examples/gdpr` one after the other.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use voicemail_engine::mailbox::MessageView;
use voicemail_resources::{GdprRequestStatus, Phase};
use voicemail_test_machine::speech::sound_of;
use voicemail_test_machine::traces::{Sought, Trace, Traces};
use voicemail_test_machine::workspace_path;
use voicemail_tests::stage::{ApiError, Steps, apply_request, follow_request};

use crate::cast::{CASE, HOME, read_subject};
use crate::rooms::{Left, Rooms, Sight, check_sight};
use crate::setup::{NAMESPACE, Scene};

const SOON: Duration = Duration::from_secs(30);
/// The erasure waits 30 s for old revisions, and its window of 5 s.
const LATER: Duration = Duration::from_secs(120);

/// Exports, forgets, takes back, forgets for good, and looks for traces.
pub(super) async fn exercise_rights(
    scene: &Scene,
    rooms: &Rooms,
    left: &[Left],
    steps: &mut Steps,
) -> Result<()> {
    let traces = describe_subject(scene, left).await?;
    let before = rooms.look().await?;
    let export = export(scene, rooms, left);
    let files =
        steps.run("ExportMe: the subject's messages are in a folder, as they were left", export).await?;
    steps.show(&files.join("\n"));
    steps.run("ForgetMe: they are gone from lists and MWI at once", forget(scene, rooms, left)).await?;
    let undo = undo(scene, rooms, &before);
    steps.run("UndoForgetMe: everything is as it was", undo).await?;
    let seen = scan(scene, &traces).await?;
    let erase = erase(scene, rooms, left);
    let status = steps.run("ForgetMe again, with a window of 5 s: they are erased", erase).await?;
    steps.show(&rooms.look().await?.describe());
    steps.show(&format!("{} messages are erased", status.erased.unwrap_or(0)));
    prove_erasure(scene, &traces, seen, steps).await
}

async fn export(scene: &Scene, rooms: &Rooms, left: &[Left]) -> Result<Vec<String>> {
    let consumers = workspace_path("examples/gdpr/consumers.yaml");
    scene.site.apply_file(NAMESPACE, &consumers).await?;
    let status = request(scene, "export.yaml", Phase::Completed, SOON).await?;
    let own: Vec<&Left> = left.iter().filter(|left| left.call.by_subject).collect();
    ensure!(status.exported == Some(own.len() as i64), "exported are {:?} messages", status.exported);
    let folder = tempfile::Builder::new().prefix("voicemail-export-").tempdir()?;
    let files = rooms.privacy_officer.unpack_export(CASE, folder.path()).await?;
    compare_export(&files, folder.path(), &own)?;
    Ok(files)
}

fn compare_export(files: &[String], folder: &Path, own: &[&Left]) -> Result<()> {
    let mut wanted: BTreeSet<String> = own.iter().map(|left| format!("{}.wav", left.id)).collect();
    wanted.extend(["index.html", "manifest.json", "output.json"].map(str::to_owned));
    let found: BTreeSet<String> = files.iter().cloned().collect();
    ensure!(found == wanted, "the export has the files {found:?}");
    for left in own {
        let bytes = std::fs::read(folder.join(format!("{}.wav", left.id)))?;
        ensure!(bytes == left.call.deposit.audio, "message {} is exported with other bytes", left.id);
    }
    Ok(())
}

async fn forget(scene: &Scene, rooms: &Rooms, left: &[Left]) -> Result<()> {
    let status = request(scene, "forget.yaml", Phase::Marked, SOON).await?;
    let own = left.iter().filter(|left| left.call.by_subject).count();
    ensure!(status.matched == Some(own as i64), "matched are {:?} messages", status.matched);
    check_hidden(rooms, left).await
}

async fn undo(scene: &Scene, rooms: &Rooms, before: &Sight) -> Result<()> {
    request(scene, "undo.yaml", Phase::Completed, SOON).await?;
    let after = rooms.look().await?;
    ensure!(after.counts == before.counts, "the MWI counts differ from before");
    for (mailbox, list) in &before.lists {
        let now = after.lists.get(mailbox).context("a mailbox is missing")?;
        compare_lists(mailbox, list, now)?;
    }
    Ok(())
}

/// The same messages in the same order; a retention clock stood still while its message was hidden.
fn compare_lists(mailbox: &str, before: &[MessageView], now: &[MessageView]) -> Result<()> {
    ensure!(before.len() == now.len(), "mailbox {mailbox} lists {} messages after the undo", now.len());
    for (was, is) in before.iter().zip(now) {
        let same = MessageView { expires: is.expires.clone(), ..was.clone() };
        ensure!(same == *is, "message {} in mailbox {mailbox} isn't as before", was.id);
        ensure!(is.expires >= was.expires, "message {} now expires earlier than before", was.id);
    }
    Ok(())
}

async fn erase(scene: &Scene, rooms: &Rooms, left: &[Left]) -> Result<GdprRequestStatus> {
    let status = request(scene, "forget-again.yaml", Phase::Completed, LATER).await?;
    let own = left.iter().filter(|left| left.call.by_subject).count();
    ensure!(status.erased == Some(own as i64), "erased are {:?} messages", status.erased);
    check_hidden(rooms, left).await?;
    Ok(status)
}

/// The subject's messages are in no list or MWI and can't be played; all others are untouched.
async fn check_hidden(rooms: &Rooms, left: &[Left]) -> Result<()> {
    check_sight(&rooms.look().await?, left.iter().filter(|left| !left.call.by_subject))?;
    for Left { id, call } in left {
        let mailbox = &call.deposit.mailbox;
        let played = rooms.owner(mailbox).audio(mailbox, *id).await;
        match played {
            Ok(audio) if !call.by_subject => ensure!(audio == call.deposit.audio, "{id} has changed"),
            Err(error) if call.by_subject => {
                let status = error.downcast_ref::<ApiError>().map(|error| error.status);
                ensure!(status == Some(404), "playing forgotten {id}: {error}");
            }
            Ok(_) => anyhow::bail!("forgotten message {id} still plays"),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn request(scene: &Scene, file: &str, phase: Phase, deadline: Duration) -> Result<GdprRequestStatus> {
    let name = apply_request(&scene.site, NAMESPACE, file).await?;
    follow_request(&scene.site, NAMESPACE, &name, phase, deadline).await
}

/// Traces that must be nowhere any more.
async fn describe_subject(scene: &Scene, left: &[Left]) -> Result<Traces> {
    let (number, (region, country)) = (read_subject()?, HOME);
    let hash = scene.tenant.hash_caller(&number, region).await?;
    let mut traces = Traces::default().with_number(&number, country).with_caller_hash(hash.as_str());
    for left in left.iter().filter(|left| left.call.by_subject) {
        traces = traces.with_audio(sound_of(&left.call.deposit.audio)?);
    }
    Ok(traces)
}

async fn scan(scene: &Scene, traces: &Traces) -> Result<BTreeSet<Trace>> {
    match scene.tenant.volume_folder() {
        Some(folder) => tokio::task::block_in_place(|| traces.scan(folder)),
        None => Ok(BTreeSet::new()),
    }
}

/// The scan found everything before, and now nothing but the hash in the ledger, the mark and the runs' due items.
async fn prove_erasure(
    scene: &Scene,
    traces: &Traces,
    before: BTreeSet<Trace>,
    steps: &mut Steps,
) -> Result<()> {
    if scene.tenant.volume_folder().is_none() {
        steps.show(
            "The scan of the volume is left out: its files can't be reached from here, and the image has no \
             shell. Mount the claim acme-voicemail in a pod of your own and search it for the number.",
        );
        return Ok(());
    }
    let prove = async {
        for what in [Sought::Number, Sought::CallerHash, Sought::Audio] {
            ensure!(before.iter().any(|trace| trace.what == what), "the scan was blind to {what:?} before");
        }
        let after = scan(scene, traces).await?;
        let prefix = scene.tenant.prefix();
        let unexpected: Vec<&Trace> = after.iter().filter(|trace| !is_record(trace, &prefix)).collect();
        ensure!(unexpected.is_empty(), "the volume still holds:\n{}", list(unexpected));
        Ok(after)
    };
    let what = "no file of the volume holds the number or the audio; the caller's hash is in the ledger, its mark and \
                the runs' due items alone";
    let after = steps.run(what, prove).await?;
    steps.show(&format!("before the erasure: {}\nafter it: {}", count(&before), count(&after)));
    steps.show(&list(after.iter()));
    Ok(())
}

fn is_record(trace: &Trace, prefix: &str) -> bool {
    let file = trace.file.to_string_lossy();
    let key = file.strip_prefix(prefix).unwrap_or(&file);
    let run = key.starts_with("due/") && key.contains("/run.");
    let entry = key.starts_with("mark/") || key.starts_with("ledger/");
    trace.what == Sought::CallerHash && (entry || run)
}

fn count(traces: &BTreeSet<Trace>) -> String {
    let of = |what| traces.iter().filter(move |trace| trace.what == what).map(|trace| &trace.file);
    let number = |what| of(what).collect::<BTreeSet<_>>().len();
    let (numbers, hashes, audio) =
        (number(Sought::Number), number(Sought::CallerHash), number(Sought::Audio));
    format!("number in {numbers} files, audio in {audio}, hash in {hashes} files and folders")
}

fn list<'a>(traces: impl IntoIterator<Item = &'a Trace>) -> String {
    let line = |trace: &Trace| {
        let place = if trace.in_name { "name" } else { "content" };
        format!("{:?} as {} in the {place} of {}", trace.what, trace.form, trace.file.display())
    };
    let lines: BTreeSet<String> = traces.into_iter().map(line).collect();
    lines.into_iter().collect::<Vec<_>>().join("\n")
}
