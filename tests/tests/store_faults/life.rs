//! One life: two deposits, a list, a deletion, an erasure that is taken back, playing, an erasure for good; and what
//! must be true then.

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use voicemail_api::gdpr::{GdprBody, RunState};
use voicemail_audio::{AudioLimits, check_wav};
use voicemail_engine::core::tool::{Access, open_on};
use voicemail_engine::fsck::{Severity, check};
use voicemail_engine::mailbox::{DepositRequest, MessageFilter};
use voicemail_engine::sweep::Sweeper;
use voicemail_model::{CallerId, CaseId, MailboxId, MessageChange, MessageId};
use voicemail_store::ErrorClass;

use crate::site::{Site, keys};

const CALLER: &str = "+442079460001";
const OTHER: &str = "+442079460002";
/// How often a client repeats a request that wasn't answered.
const PATIENCE: usize = 12;

/// Whether a client should repeat a request after this error.
trait Refusal: Display {
    fn is_final(&self) -> bool;
}

impl Refusal for voicemail_engine::mailbox::MailboxError {
    fn is_final(&self) -> bool {
        self.class() == ErrorClass::Permanent
    }
}

impl Refusal for voicemail_engine::gdpr::GdprError {
    fn is_final(&self) -> bool {
        self.class() == ErrorClass::Permanent
    }
}

/// Repeats a request until it is answered.
async fn ask<T, E: Refusal>(what: &str, request: impl AsyncFn() -> Result<T, E>) -> Result<T, String> {
    let mut last = String::new();
    for _ in 0..PATIENCE {
        match request().await {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_final() => return Err(format!("{what} is refused for good: {error}")),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("{what} isn't answered: {last}"))
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

pub(crate) fn mailbox() -> MailboxId {
    "1001".parse().unwrap()
}

/// A second of G.711, another for each `tone`.
pub(crate) fn speech(tone: u8) -> Bytes {
    let mut file =
        b"RIFF\x64\x1f\0\0WAVEfmt \x10\0\0\0\x06\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x40\x1f\0\0"
            .to_vec();
    file.extend((0..8_000_u32).map(|n| u8::try_from(n % 200).unwrap() + tone));
    file.into()
}

pub(crate) async fn deposit(site: &Site, caller: &str, tone: u8) -> Result<MessageId, String> {
    let id = site.core.mailboxes.new_id();
    ask("a deposit", async || {
        let caller = CallerId::new(caller);
        let request =
            DepositRequest { mailbox: mailbox(), id, caller, caller_name: None, urgent: false, left: None };
        let admitted = site.core.mailboxes.admit(request).await?;
        let limits = AudioLimits::for_seconds(admitted.max_seconds);
        let recording = check_wav(stream::once(async move { Ok(speech(tone)) }).boxed(), limits);
        site.core.mailboxes.deposit(admitted, recording).await
    })
    .await?;
    Ok(id)
}

async fn expect_list(site: &Site, expected: &[MessageId], after: &str) -> Result<(), String> {
    let filter = || MessageFilter { limit: 10, ..MessageFilter::default() };
    let page = ask("a list", async || site.core.mailboxes.list(&mailbox(), filter()).await).await?;
    let listed: Vec<String> = page.messages.iter().map(|message| message.id.to_string()).collect();
    let expected: Vec<String> = expected.iter().rev().map(ToString::to_string).collect();
    require(listed == expected, || format!("after {after} the list is {listed:?}, not {expected:?}"))?;
    let mwi = ask("MWI counts", async || site.core.mailboxes.mwi(&mailbox()).await).await?;
    let counted = usize::try_from(mwi.new + mwi.old).unwrap();
    require(counted == expected.len(), || format!("after {after} the MWI counts {mwi:?}"))
}

async fn expect_speech(site: &Site, id: MessageId, tone: u8) -> Result<(), String> {
    let heard = ask("playing", async || {
        let audio = site.core.mailboxes.audio(&mailbox(), id, None).await?;
        let parts: Vec<Bytes> = audio.bytes.try_collect().await?;
        Ok::<_, voicemail_engine::mailbox::MailboxError>(parts.concat())
    })
    .await?;
    require(heard == speech(tone), || format!("{} bytes were heard that nobody spoke", heard.len()))
}

fn body(case: &str, window: &str) -> GdprBody {
    GdprBody {
        caseid: case.into(),
        consumers: vec![json!({ "phone": [CALLER] })],
        undo_window: Some(window.into()),
        ..GdprBody::default()
    }
}

/// Sweeps until the case's erasure has ended.
async fn expect_purged(site: &Site, case: &str) -> Result<(), String> {
    sweep_until(site, case, |state| state == RunState::Purged).await
}

/// A request that took long is answered before it is done, and goes on with the sweeps.
async fn expect_done(site: &Site, case: &str) -> Result<(), String> {
    let name: CaseId = case.parse().unwrap();
    let view = ask("a look at the case", async || site.core.gdpr.case(&name).await).await?;
    match view.runs.iter().any(|run| run.state.is_under_way()) {
        true => sweep_until(site, case, |state| !state.is_under_way()).await,
        false => Ok(()),
    }
}

async fn sweep_until(site: &Site, case: &str, is_there: fn(RunState) -> bool) -> Result<(), String> {
    let name: CaseId = case.parse().unwrap();
    let mut sweeper = Sweeper::new(site.core.context.clone(), site.core.gdpr.clone());
    let mut state = None;
    for _ in 0..PATIENCE {
        // What fails in a pass is taken up by the next.
        let swept = sweeper.pass().await;
        let view = ask("a look at the case", async || site.core.gdpr.case(&name).await).await?;
        state = view.runs.last().map(|run| run.state);
        if swept.is_ok() && state.is_some_and(is_there) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("{case} ends as {state:?}"))
}

/// Plays the life and looks at what is left of it.
pub(crate) async fn live(site: &Site) -> Result<(), String> {
    let (core, name) = (&site.core, mailbox());
    ask("provisioning", async || core.directory.put_mailbox(&name, None, None).await).await?;
    let first = deposit(site, CALLER, 1).await?;
    let second = deposit(site, OTHER, 2).await?;
    expect_list(site, &[first, second], "two deposits").await?;
    let heard = MessageChange { urgent: Some(true), ..MessageChange::default() };
    ask("a change", async || core.mailboxes.change(&name, first, heard, None).await).await?;
    ask("a deletion", async || match core.mailboxes.trash(&name, second).await {
        // An earlier attempt was carried out and its reply lost.
        Err(voicemail_engine::mailbox::MailboxError::UnknownMessage) => Ok(()),
        other => other.map(drop),
    })
    .await?;
    expect_list(site, &[first], "a deletion").await?;
    ask("a forget", async || core.gdpr.forget(body("case-1", "1h")).await).await?;
    expect_done(site, "case-1").await?;
    expect_list(site, &[], "a forget").await?;
    ask("an undo", async || core.gdpr.undo(GdprBody { consumers: vec![], ..body("case-1", "1h") }).await)
        .await?;
    expect_done(site, "case-1").await?;
    expect_list(site, &[first], "an undo").await?;
    expect_speech(site, first, 1).await?;
    ask("a last forget", async || core.gdpr.forget(body("case-2", "0s")).await).await?;
    expect_done(site, "case-2").await?;
    expect_list(site, &[], "a last forget").await?;
    site.pass(Duration::from_secs(2));
    expect_purged(site, "case-2").await?;
    expect_list(site, &[], "an erasure").await?;
    site.proxy.clear_rules();
    look_straight(site).await
}

/// Reads the stored state, without any fault on the way.
async fn look_straight(site: &Site) -> Result<(), String> {
    let regions = [(site.config.region.clone(), site.straight.clone())].into();
    let context = open_on(&site.config, keys(), regions, Access::Read, &site.world).await.unwrap();
    let mut wrong = Vec::new();
    let note = |finding: &voicemail_engine::fsck::Finding| {
        if finding.severity != Severity::Note {
            wrong.push(format!("{finding:?}"));
        }
    };
    check(&context, note).await.unwrap();
    require(wrong.is_empty(), || format!("fsck finds {wrong:#?}"))?;
    for prefix in ["ca/", "au/"] {
        let left: Vec<String> = site.straight.list(prefix).try_collect().await.unwrap();
        require(left.is_empty(), || format!("left after the erasure: {left:?}"))?;
    }
    Ok(())
}
