//! The messages of an answer, told to it while a walk goes over them: of each no more than its id is kept.

use super::GdprError;
use super::intake::Wanted;
use super::search::{Found, Walk, whole};
use super::subject::{Subject, target_of_phone};
use super::target::Target;
use crate::context::Context;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use voicemail_api::gdpr::{GdprAnswer, MessageRef};
use voicemail_model::{MessageId, Run, Time};
use voicemail_store::StoreError;

/// How many messages there are, and which of them an answer names.
#[derive(Default)]
pub(super) struct Told {
    /// Each phone as given, with the ids of its messages.
    phones: Vec<(String, Vec<MessageId>)>,
    /// The messages of nobody's phone; none while none were named.
    named: Option<Vec<MessageRef>>,
    /// All messages.
    pub(super) matched: u64,
    /// By the region of their audio.
    pub(super) regions: BTreeMap<String, u64>,
}

impl Told {
    /// For an answer about that subject; about nobody it only counts.
    pub(super) fn of(subject: &Subject) -> Self {
        let phones = subject.phones.iter().map(|phone| (phone.clone(), Vec::new())).collect();
        Self { phones, named: (!subject.messages.is_empty()).then(Vec::new), ..Self::default() }
    }

    /// Takes a part of the messages in.
    pub(super) async fn take(
        &mut self,
        context: &Context,
        run: &Run,
        found: &[Found],
    ) -> Result<(), StoreError> {
        let of_phone = |(phone, _): &(String, _)| target_of_phone(context, phone, run);
        let targets = self.phones.iter().map(of_phone).collect::<Result<Vec<_>, _>>()?;
        for one in found {
            self.matched += 1;
            *self.regions.entry(one.envelope.region.clone()).or_default() += 1;
            let mut is_of_phone = false;
            for (target, (_, ids)) in targets.iter().zip(&mut self.phones) {
                if target.admits(context, &one.caller, one.envelope.caller.as_ref()).await? {
                    ids.push(one.id);
                    is_of_phone = true;
                }
            }
            if let Some(named) = self.named.as_mut().filter(|_| !is_of_phone) {
                named.push(MessageRef { mailbox: one.mailbox.to_string(), id: one.id.to_string() });
            }
        }
        Ok(())
    }

    /// The answer: each phone as given, with the ids of its messages.
    pub(super) fn answer(self, context: &Context, wanted: &Wanted, run: &Run) -> GdprAnswer {
        let ids = |ids: Vec<MessageId>| ids.into_iter().map(|id| Value::String(id.to_string())).collect();
        let consumers: Map<String, Value> =
            self.phones.into_iter().map(|(phone, found)| (phone, Value::Array(ids(found)))).collect();
        GdprAnswer {
            caseid: wanted.case.as_str().to_owned(),
            messages: self.named.unwrap_or_default(),
            consumers,
            not_applicable: wanted.subject.not_applicable,
            run: run.view(context.world().now(), &context.master()),
        }
    }
}

/// A run's messages as they are now, told for an answer about that subject, and how many can't be read.
pub(super) async fn tell(
    context: &Context,
    (run, subject): (&Run, &Subject),
    cutoff: Time,
) -> Result<(Told, usize), StoreError> {
    let (mut told, mut unreadable) = (Told::of(subject), 0);
    let mut walk = Walk::new(&Target::of(run), cutoff);
    while let Some(part) = walk.next(context).await? {
        unreadable += part.unreadable.len();
        told.take(context, run, &part.found).await?;
    }
    Ok((told, unreadable))
}

/// As [`tell`], where nothing may be left out.
pub(super) async fn tell_whole(
    context: &Context,
    of: (&Run, &Subject),
    cutoff: Time,
) -> Result<Told, GdprError> {
    let (told, unreadable) = tell(context, of, cutoff).await?;
    whole(unreadable).map(|()| told)
}
