//! Requests of before strangers under the same hash were told apart: they leave strangers alone from now on.
//!
//! Such a run took every hash of its subject for the subject's alone. Before it is moved on its subject is read again by the
//! rule set in force. Messages of others are shown again; the marks of hashes that aren't the subject's say `undone`.
//! A run that has forgotten its subject can't be read again: it goes on as it was made.

use super::runs::change;
use super::search::{Boxes, list_envelopes, whole};
use super::subject::{Subject, refresh_rules};
use super::target::Target;
use super::undo::{keep_mark_until, set_mark};
use super::{GdprError, forget::apply_to_all};
use crate::context::Context;
use std::collections::BTreeMap;
use voicemail_api::gdpr::Operation;
use voicemail_model::{CallerHash, IndexOp, MarkState, MessageId, Run};
use voicemail_store::Key;
use voicemail_store::codec::decode_envelope;

/// The run as it is to be carried out.
pub(super) async fn narrow(context: &Context, run: Run) -> Result<Run, GdprError> {
    let sealed = run.sealed.as_deref().unwrap_or_default();
    if run.has_ended() || run.doubtful.is_some() || run.callers.is_empty() {
        return Ok(run);
    }
    let Some(subject) = Subject::open(context, &run.id, sealed) else { return Ok(run) };
    refresh_rules(context).await?;
    let target = Target { messages: run.messages.clone(), ..subject.target(context)? };
    if run.operation == Operation::ForgetMe {
        let_strangers_go(context, &run, &target).await?;
    }
    let set = |run: &mut Run, _| {
        let open = run.sealed.is_some() && run.doubtful.is_none();
        if open {
            run.callers.clone_from(&target.callers);
            run.doubtful = target.doubtful.clone().or_else(|| Some(voicemail_model::ByRules::default()));
        }
        (open, ())
    };
    // Last, so that a crash before it repeats all of it.
    Ok(change(context, &run.id, set).await?.map_or(run, |(run, ())| run))
}

async fn let_strangers_go(context: &Context, run: &Run, target: &Target) -> Result<(), GdprError> {
    let mut unreadable = 0;
    for caller in run.callers.iter().filter(|caller| !target.callers.contains(caller)) {
        if !target.doubtful().contains(caller) {
            set_mark(context, &Key::mark(caller), &run.id, MarkState::Undone, Some(keep_mark_until(context)))
                .await?;
        }
        let unflag = |messages: BTreeMap<MessageId, CallerHash>| IndexOp::Unflag {
            run: run.id.clone(),
            messages: messages.into_keys().collect(),
        };
        unreadable += apply_to_all(context, strangers(context, caller, target).await?, unflag).await?;
    }
    whole(unreadable)
}

async fn strangers(context: &Context, caller: &CallerHash, target: &Target) -> Result<Boxes, GdprError> {
    let mut found = Boxes::new();
    for (mailbox, id, key) in list_envelopes(context, caller).await? {
        let Some(bytes) = context.store().get(&key).await? else { continue };
        let Ok(envelope) = decode_envelope(&bytes) else { continue };
        if !target.admits(context, caller, envelope.caller.as_ref()).await? {
            found.entry(mailbox).or_default().insert(id, caller.clone());
        }
    }
    Ok(found)
}
