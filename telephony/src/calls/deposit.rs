//! A caller leaves a message: reception, greeting, beep, recording.
//!
//! The core is asked before the call is answered and not waited for after it: a core that is away costs the greeting, and
//! the message waits in the spool.

use super::line::{Event, Line, LineError};
use super::{Outcome, Services, refuse};
use crate::core::CoreError;
use crate::g711::beep;
use crate::media::telephone_event::Key;
use crate::media::{Clip, MediaEvent, RecordEnd, RecordRules, Sink, Take};
use crate::signalling::IncomingCall;
use crate::spool::seal::{Description, Ending};
use bytes::Bytes;
use jiff::Timestamp;
use std::time::Duration;
use voicemail_api::telephony::{GreetingView, Law, ReceptionView};

/// When the core can't be asked.
const USUAL_LONGEST: u32 = 180;
const USUAL_SHORTEST: u32 = 3;
const SILENCE: Duration = Duration::from_secs(5);

pub(super) async fn serve(services: &Services, call: IncomingCall, mailbox: String) -> Outcome {
    if services.spool.is_nearly_full() {
        return refuse(call, 480).await;
    }
    let reception = match services.voicemail.reception(&mailbox).await {
        Ok(reception) if !reception.takes_messages => return refuse(call, 480).await,
        Ok(reception) => Some(reception),
        Err(CoreError::Unknown) => return refuse(call, 404).await,
        Err(error) => {
            tracing::warn!(call = %call.id, %error, "a call is taken without the core");
            None
        }
    };
    let described = describe(&call, &mailbox, reception.as_ref());
    let law = call.offer.as_ref().map_or(Law::Mulaw, |offer| offer.audio.law);
    let greeting = fetch_greetings(services, &mailbox, reception.as_ref(), law).await;
    let mut line = match Line::answer(services, call.leg, call.offer, call.peer).await {
        Ok(line) => line,
        Err(LineError::NoPorts) => return Outcome::Refused(503),
        Err(LineError::Sip(_)) => return Outcome::Abandoned,
    };
    let mut clips: Vec<Clip> = greeting.into_iter().map(|samples| Clip::whole(law, samples)).collect();
    if clips.is_empty()
        && let Some(speech) = services.speech()
    {
        clips.extend(speech.clip("after-tone"));
    }
    clips.push(Clip::whole(Law::Mulaw, beep()));
    line.media.play(clips);
    if !played(&mut line).await {
        return Outcome::Abandoned;
    }
    let described = Description { left: Timestamp::now().to_string(), law: line.law(), ..described };
    let longest = reception.map_or(USUAL_LONGEST, |reception| reception.limits.max_seconds);
    record(services, &mut line, &described, longest).await
}

fn describe(call: &IncomingCall, mailbox: &str, reception: Option<&ReceptionView>) -> Description {
    let shortest = reception.map_or(USUAL_SHORTEST, |reception| reception.limits.min_seconds);
    Description {
        id: call.id.to_string(),
        mailbox: mailbox.to_owned(),
        caller: call.identity.caller.clone(),
        caller_name: call.identity.name.clone(),
        left: String::new(),
        min_millis: u64::from(shortest) * 1_000,
        law: Law::Mulaw,
    }
}

/// The tenant's disclaimer and the greeting, as far as they can be had.
async fn fetch_greetings(
    services: &Services,
    mailbox: &str,
    reception: Option<&ReceptionView>,
    law: Law,
) -> Vec<Bytes> {
    let Some(reception) = reception else { return Vec::new() };
    let wanted: Vec<&GreetingView> = reception.disclaimer.iter().chain(&reception.greeting).collect();
    let mut fetched = Vec::new();
    for greeting in wanted {
        match services.voicemail.greeting(mailbox, greeting, law).await {
            Ok(samples) => fetched.push(samples),
            Err(error) => tracing::warn!(%error, "a greeting can't be had and is left out"),
        }
    }
    fetched
}

/// Waits until everything was played, or a key skips it; false if the caller hung up.
async fn played(line: &mut Line) -> bool {
    loop {
        match line.event().await {
            Event::Media(MediaEvent::Played) => return true,
            Event::Media(MediaEvent::Digit(key)) if key.char() == '#' => {
                line.media.stop();
                line.media.play(vec![Clip::whole(Law::Mulaw, beep())]);
            }
            Event::Media(_) => {}
            Event::Over => return false,
        }
    }
}

async fn record(services: &Services, line: &mut Line, described: &Description, longest: u32) -> Outcome {
    let writer = match services.spool.begin(described) {
        Ok(writer) => writer,
        Err(error) => {
            tracing::error!(call = described.id, %error, "a recording can't be begun");
            return Outcome::Failed;
        }
    };
    let keys = Key::new('#').into_iter().collect();
    let silence = services.config.dialogue.as_ref().map_or(SILENCE, |dialogue| dialogue.silence);
    let rules = RecordRules { longest: Duration::from_secs(u64::from(longest)), silence, keys };
    line.media.record(Sink::Spool(writer), rules);
    let take = loop {
        match line.event().await {
            Event::Media(MediaEvent::Recorded(take)) => break Some(take),
            Event::Media(_) => {}
            Event::Over => break line.media.finish_recording().await,
        }
    };
    match take {
        Some(take) => keep(services, take, described),
        None => Outcome::Failed,
    }
}

/// What is long enough is the courier's.
fn keep(services: &Services, take: Take, described: &Description) -> Outcome {
    services.metrics.count_recording(take.end.label());
    let Sink::Spool(writer) = take.sink else { return Outcome::Failed };
    if take.length < Duration::from_millis(described.min_millis) && take.end != RecordEnd::Failed {
        writer.discard();
        return Outcome::Empty;
    }
    match writer.commit(Ending::default()) {
        Ok(()) => {
            services.courier.wake();
            Outcome::Recorded
        }
        Err(error) => {
            tracing::error!(call = described.id, %error, "a recording can't be closed");
            Outcome::Failed
        }
    }
}
