//! Which of the decisions in a request's spec the core has still to be told of. Pure.

use aws_lc_rs::digest::{SHA256, digest};
use voicemail_api::gdpr::{ApproveBody, CancelBody, DenyBody, ExtendBody, RunState, RunView};
use voicemail_cores::core_client::CoreDecision;
use voicemail_resources::gdpr_request::{Decision, GdprOperation, GdprRequest};

/// The decisions that the run doesn't show yet, in the order in which they are told.
pub fn open_decisions(request: &GdprRequest, run: &RunView) -> Vec<CoreDecision> {
    if request.spec.operation == GdprOperation::UndoForgetMe || run.state == RunState::DryRun {
        return Vec::new();
    }
    [extension(request, run), cancellation(request, run), approval(request, run)]
        .into_iter()
        .flatten()
        .collect()
}

/// The same, of a request that hasn't ended.
pub fn decisions_to_tell(request: &GdprRequest, run: &RunView) -> Vec<CoreDecision> {
    let ended = request.status.as_ref().is_some_and(|status| status.phase.is_terminal());
    if ended { Vec::new() } else { open_decisions(request, run) }
}

/// Whether the request decides something that the run doesn't show yet.
pub fn are_waiting(request: &GdprRequest, run: &RunView) -> bool {
    !decisions_to_tell(request, run).is_empty()
}

fn approval(request: &GdprRequest, run: &RunView) -> Option<CoreDecision> {
    let approval = request.spec.approval.as_ref()?;
    let (named, by) = (Some(run.id.clone()), Some(person(&approval.by)));
    match (approval.decision, approval.ground) {
        (Decision::Approve, _) => (run.state == RunState::AwaitingApproval)
            .then_some(CoreDecision::Approve(ApproveBody { run: named, on_behalf_of: by })),
        (Decision::Deny, Some(ground)) => (run.state != RunState::Denied).then(|| {
            let text = approval.reason.clone();
            CoreDecision::Deny(DenyBody { run: named, ground: ground.on_the_wire(), text, on_behalf_of: by })
        }),
        (Decision::Deny, None) => None,
    }
}

fn extension(request: &GdprRequest, run: &RunView) -> Option<CoreDecision> {
    let extension = request.spec.extension.as_ref()?;
    let months = u8::try_from(extension.months).ok()?;
    let open = run.extension.as_ref().is_none_or(|known| known.months < months);
    open.then(|| {
        let (reason, by) = (extension.reason.clone(), Some(person(&extension.by)));
        CoreDecision::Extend(ExtendBody { run: Some(run.id.clone()), months, reason, on_behalf_of: by })
    })
}

fn cancellation(request: &GdprRequest, run: &RunView) -> Option<CoreDecision> {
    let cancel = request.spec.cancellation.as_ref()?;
    (run.state != RunState::Cancelled).then(|| {
        let (reason, by) = (Some(cancel.reason.clone()), Some(person(&cancel.by)));
        CoreDecision::Cancel(CancelBody { run: Some(run.id.clone()), reason, on_behalf_of: by })
    })
}

/// A person as the core's records name them: an e-mail address is personal data, so a digest stands for it.
pub fn person(name: &str) -> String {
    if !name.contains('@') {
        return name.to_owned();
    }
    let digest = digest(&SHA256, name.as_bytes());
    let letters = digest.as_ref().iter().take(8).flat_map(|byte| [byte >> 4, byte & 15]);
    format!("person:{}", letters.map(|half| char::from(b'a' + half)).collect::<String>())
}
