//! An owner dials in: drives the dialogue's machine with a line and the core.

use super::line::{Event, Line, LineError};
use super::logins::Source;
use super::session::Session;
use super::{Outcome, Services, Speech};
use crate::core::{CoreError, Open, Voicemail};
use crate::dialogue::{Answer, Ask, Dialogue, Input, Output, Say};
use crate::g711::{find_samples, write_wav};
use crate::media::telephone_event::Key;
use crate::media::{Clip, MediaEvent, RecordRules, Samples, Sink, Take};
use crate::signalling::IncomingCall;
use bytes::Bytes;
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use voicemail_api::ErrorClass;
use voicemail_api::telephony::{Law, Mark};

/// Longest greeting.
const LONGEST_GREETING: Duration = Duration::from_secs(120);
/// A part of a message that is fetched at once: four seconds.
const PART: u64 = 32 * 1_024;
/// Longest call of an owner.
const LONGEST_CALL: Duration = Duration::from_secs(3_600);

struct Owner<'a> {
    services: &'a Services,
    speech: &'a Speech,
    line: Line,
    dialogue: Dialogue,
    source: Source,
    session: Session,
    zone: TimeZone,
    greeting: Vec<u8>,
    began: Instant,
    /// Messages that are being marked as heard.
    marks: JoinSet<()>,
    /// Clips are being played, or wait for it.
    speaking: bool,
    /// What follows when all was said.
    after: Option<After>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Record,
    HangUp,
}

pub(super) async fn serve(services: &Services, call: IncomingCall, speech: &Speech) -> Outcome {
    let caller = call.identity.caller.clone();
    let source = Source::of(&call.trunk, caller.as_deref());
    let trunk = services.config.trunks.iter().find(|trunk| trunk.name == call.trunk);
    let proposed = caller.zip(trunk).map(|(caller, trunk)| trunk.mailbox_of(&caller));
    let may_try = services.logins.may_try(&source, Instant::now());
    let line = match Line::answer(services, call.leg, call.offer, call.peer).await {
        Ok(line) => line,
        Err(LineError::NoPorts) => return Outcome::Refused(503),
        Err(LineError::Sip(_)) => return Outcome::Abandoned,
    };
    let mut owner = Owner {
        services,
        speech,
        line,
        dialogue: Dialogue::new(Arc::clone(&speech.menu)),
        source,
        session: Session::default(),
        zone: TimeZone::UTC,
        greeting: Vec::new(),
        began: Instant::now(),
        marks: JoinSet::new(),
        speaking: false,
        after: None,
    };
    if may_try {
        let outputs = owner.step(Input::Start(proposed));
        owner.run(outputs).await;
    } else {
        services.metrics.count_login("kept-out");
        owner.run(vec![Output::Say(vec![Say::clip("wrong"), Say::clip("goodbye")]), Output::HangUp]).await;
    }
    owner.tell_changes().await;
    if owner.session.open().is_some() { Outcome::Opened } else { Outcome::Closed }
}

impl Owner<'_> {
    fn step(&mut self, input: Input) -> Vec<Output> {
        self.dialogue.step(input, self.began.elapsed())
    }

    async fn run(&mut self, first: Vec<Output>) {
        let mut over = self.obey(first).await;
        while !over && self.began.elapsed() < LONGEST_CALL {
            let silence = self.speech.silence;
            let waiting = !self.speaking && self.after.is_none();
            let input = tokio::select! {
                event = self.line.event() => match event {
                    Event::Over => return self.hang_up().await,
                    Event::Media(event) => self.read(event).await,
                },
                () = tokio::time::sleep(silence), if waiting => Some(Input::Silence),
                never = self.session.keep(&self.services.voicemail) => match never {},
            };
            over = match input {
                Some(input) => {
                    let outputs = self.step(input);
                    self.obey(outputs).await
                }
                None => self.after == Some(After::HangUp) && !self.speaking,
            };
        }
    }

    /// What was heard until now counts.
    async fn hang_up(&mut self) {
        let outputs = self.step(Input::HungUp);
        self.obey(outputs).await;
    }

    /// What a media event is to the machine.
    async fn read(&mut self, event: MediaEvent) -> Option<Input> {
        match event {
            MediaEvent::Digit(key) => Some(Input::Key(key)),
            MediaEvent::Recorded(take) => {
                self.after = None;
                Some(self.take_greeting(take))
            }
            MediaEvent::Played => {
                self.speaking = false;
                if self.after == Some(After::Record) {
                    self.record();
                    return None;
                }
                Some(Input::Played).filter(|_| self.after.is_none())
            }
            MediaEvent::Lost => None,
        }
    }

    fn record(&mut self) {
        let keys = Key::new('#').into_iter().collect();
        let rules = RecordRules { longest: LONGEST_GREETING, silence: self.speech.silence, keys };
        self.line.media.record(Sink::Memory(Vec::new()), rules);
    }

    fn take_greeting(&mut self, take: Take) -> Input {
        if let Sink::Memory(samples) = take.sink {
            self.greeting = samples;
        }
        Input::Recorded(u64::try_from(take.length.as_millis()).unwrap_or(u64::MAX))
    }

    /// Does what the machine asks for; true if the call is over.
    async fn obey(&mut self, outputs: Vec<Output>) -> bool {
        let mut waiting = std::collections::VecDeque::from(outputs);
        while let Some(output) = waiting.pop_front() {
            match output {
                Output::Stop => {
                    self.line.media.stop();
                    self.speaking = false;
                }
                Output::Say(said) => self.say(&said),
                Output::Record => self.after = Some(After::Record),
                Output::HangUp => self.after = Some(After::HangUp),
                Output::MarkRead(id) => self.mark_read(id),
                Output::Ask(ask) => {
                    let answer = self.ask(ask).await;
                    waiting.extend(self.step(Input::Answer(answer)));
                }
            }
        }
        self.after == Some(After::HangUp) && !self.speaking
    }

    fn say(&mut self, said: &[Say]) {
        let (law, open) = (self.line.law(), self.session.open().cloned());
        let voicemail = Arc::clone(&self.services.voicemail);
        let message = |id: &str| stream(Arc::clone(&voicemail), open.clone(), id.to_owned(), law);
        let clips = self.speech.clips(said, &self.zone, message);
        if !clips.is_empty() {
            self.speaking = true;
            self.line.media.play(clips);
        }
    }

    /// Whether a message is marked doesn't keep its owner waiting.
    fn mark_read(&mut self, id: String) {
        let (Some(open), voicemail) = (self.session.open().cloned(), Arc::clone(&self.services.voicemail))
        else {
            return;
        };
        self.marks.spawn(async move {
            if let Err(error) = voicemail.mark(&open, &id, Mark::Heard).await {
                tracing::warn!(%error, "a message that was heard couldn't be marked");
            }
        });
    }

    async fn ask(&mut self, ask: Ask) -> Answer {
        let result = match ask {
            Ask::Open { mailbox, pin } => return self.open(mailbox, &pin).await,
            Ask::List { new } => match self.session.open() {
                Some(open) => self.services.voicemail.list(open, new).await.map(Answer::Listed),
                None => Err(CoreError::Unknown),
            },
            Ask::SetPin(pin) => self.set_pin(&pin).await.map(|()| Answer::Done),
            other => self.change(other).await.map(|()| Answer::Done),
        };
        result.unwrap_or_else(|error| told(&error))
    }

    async fn change(&self, ask: Ask) -> Result<(), CoreError> {
        let (voicemail, open) = (&self.services.voicemail, self.session.open().ok_or(CoreError::Unknown)?);
        match ask {
            Ask::Save { id } => voicemail.mark(open, &id, Mark::Saved).await,
            Ask::Trash { id } => voicemail.trash(open, &id).await,
            Ask::SetGreeting => {
                voicemail.set_greeting(open, write_wav(&self.greeting, self.line.law())).await
            }
            Ask::Open { .. } | Ask::List { .. } | Ask::SetPin(_) => Ok(()),
        }
    }

    /// A token is good for the PIN that gave it: the new one gives the next.
    async fn set_pin(&mut self, pin: &str) -> Result<(), CoreError> {
        let (voicemail, open) =
            (&self.services.voicemail, self.session.open().cloned().ok_or(CoreError::Unknown)?);
        voicemail.set_pin(&open, pin).await?;
        // The PIN is set, whatever becomes of the token.
        match voicemail.open(&open.mailbox, pin).await {
            Ok(token) => self.session.begin(Open { token, ..open }),
            Err(error) => {
                tracing::warn!(%error, "a new PIN gave no token: the call can't go on with the mailbox")
            }
        }
        Ok(())
    }

    /// A wrong PIN, an unknown mailbox and one that is locked are told alike.
    async fn open(&mut self, mailbox: String, pin: &str) -> Answer {
        let voicemail = &self.services.voicemail;
        let token = match voicemail.open(&mailbox, pin).await {
            Ok(token) => token,
            Err(error) => {
                let answer = told(&error);
                if matches!(answer, Answer::Refused) {
                    self.services.logins.note_failure(&self.source, Instant::now());
                }
                self.services.metrics.count_login("refused");
                return answer;
            }
        };
        self.services.metrics.count_login("opened");
        let (counts, reception) = tokio::join!(voicemail.counts(&mailbox), voicemail.reception(&mailbox));
        let zone = reception.ok().and_then(|reception| TimeZone::get(&reception.time_zone).ok());
        self.zone = zone.unwrap_or(TimeZone::UTC);
        self.session.begin(Open { mailbox, token });
        counts.map_or_else(|error| told(&error), Answer::Opened)
    }

    /// MWI follows what an owner did.
    async fn tell_changes(&mut self) {
        while self.marks.join_next().await.is_some() {}
        let Some(open) = self.session.open() else { return };
        if let Ok(counts) = self.services.voicemail.counts(&open.mailbox).await {
            // Nobody shows MWI.
            let _ = self.services.changed.send((open.mailbox.clone(), counts));
        }
    }
}

/// What an error is to the machine: a refusal is an answer, all else isn't one.
fn told(error: &CoreError) -> Answer {
    let refused =
        error.class() == ErrorClass::Permanent || matches!(error, CoreError::Refused { status: 400..=499 });
    if refused {
        return Answer::Refused;
    }
    tracing::warn!(%error, "the core can't be asked for an owner");
    Answer::Away
}

/// A message's samples, fetched part by part while they are played: what an erasure hides meanwhile isn't fetched.
fn stream(voicemail: Arc<dyn Voicemail>, open: Option<Open>, id: String, law: Law) -> Clip {
    let (send, coming) = mpsc::channel(2);
    tokio::spawn(async move {
        let Some(open) = open else { return };
        if let Err(error) = fetch(voicemail.as_ref(), &open, &id, law, &send).await {
            tracing::warn!(%error, "a message can't be played on");
        }
    });
    Clip { law, samples: Samples::Coming(coming) }
}

async fn fetch(
    voicemail: &dyn Voicemail,
    open: &Open,
    id: &str,
    law: Law,
    send: &mpsc::Sender<Bytes>,
) -> Result<(), CoreError> {
    let first = voicemail.audio(open, id, law, 0..PART).await?;
    let (begin, size) = find_samples(&first).ok_or_else(|| CoreError::Away("audio that is no WAV".into()))?;
    let end = (begin + size) as u64;
    let mut at = first.len() as u64;
    let mut part = first.slice(begin.min(first.len())..(begin + size).min(first.len()));
    loop {
        // Nobody listens any more: the owner went on.
        if send.send(part).await.is_err() || at >= end {
            return Ok(());
        }
        part = voicemail.audio(open, id, law, at..(at + PART).min(end)).await?;
        if part.is_empty() {
            return Ok(());
        }
        at += part.len() as u64;
    }
}
