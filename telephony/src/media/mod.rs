//! The audio of a call: one task, one pair of ports.
//!
//! ```text
//! packets ─▶ rtp ─┬▶ telephone_event ─▶ Digit
//!                 └▶ reorder ─▶ recorder ─▶ spool          clips ─▶ player ─▶ packets, one each 20 ms
//! ```
//!
//! Nothing is sent before [`Media::start`], which a call asks for when its ACK has come, and nothing more when the peer has
//! been silent for ten seconds: a forged description must not make us a flooder. Packets from another host than the
//! description's don't count.

mod player;
pub mod ports;
mod recorder;
pub mod reorder;
pub mod rtp;
mod stream;
pub mod telephone_event;

pub use player::{Clip, Samples};
pub use recorder::{RecordEnd, RecordRules, Sink, Take};
pub use stream::Counters;

use crate::sdp::Audio;
use ports::Pair;
use std::sync::Arc;
use telephone_event::Key;
use tokio::sync::{mpsc, oneshot};

/// What happens on a call's audio.
#[derive(Debug)]
pub enum MediaEvent {
    /// A key was pressed.
    Digit(Key),
    /// All clips were played.
    Played,
    /// A recording is over.
    Recorded(Take),
    /// Nothing has come for half a minute.
    Lost,
}

/// What a call asks of its audio.
pub(crate) enum Command {
    Start(Audio),
    Play(Vec<Clip>),
    Stop,
    Record(Sink, RecordRules),
    Press(Key),
    Finish(oneshot::Sender<Option<Take>>),
}

/// A call's audio. Dropped, its task ends; a recording in progress is kept.
pub struct Media {
    commands: mpsc::UnboundedSender<Command>,
    events: mpsc::UnboundedReceiver<MediaEvent>,
}

impl Media {
    /// On these ports.
    pub fn open(pair: Pair, counters: Arc<Counters>) -> Self {
        let (commands, asked) = mpsc::unbounded_channel();
        let (tell, events) = mpsc::unbounded_channel();
        tokio::spawn(stream::run(pair, asked, tell, counters));
        Self { commands, events }
    }

    /// Begins, or goes on as a new description says.
    pub fn start(&self, audio: Audio) {
        self.ask(Command::Start(audio));
    }

    /// Plays after what waits already.
    pub fn play(&self, clips: Vec<Clip>) {
        self.ask(Command::Play(clips));
    }

    /// Stops playing; no [`MediaEvent::Played`] comes.
    pub fn stop(&self) {
        self.ask(Command::Stop);
    }

    /// Records from the next packet on.
    pub fn record(&self, sink: Sink, rules: RecordRules) {
        self.ask(Command::Record(sink, rules));
    }

    /// A key that came beside the audio, by signalling.
    pub fn press(&self, key: Key) {
        self.ask(Command::Press(key));
    }

    /// The next event; `None` if the task ended.
    pub async fn event(&mut self) -> Option<MediaEvent> {
        self.events.recv().await
    }

    /// Takes what has come until now and ends the recording, if there is one.
    pub async fn finish_recording(&self) -> Option<Take> {
        let (send, answer) = oneshot::channel();
        self.ask(Command::Finish(send));
        answer.await.ok().flatten()
    }

    fn ask(&self, command: Command) {
        // A task that ended says so by its events.
        let _ = self.commands.send(command);
    }
}
