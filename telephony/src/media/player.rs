//! What the caller hears: clips one after another, cut into packets of 20 ms. Pure but for clips that are still coming.

use crate::g711::{FRAME, convert, silence};
use bytes::Bytes;
use std::collections::VecDeque;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;
use voicemail_api::telephony::Law;

/// Something to play.
#[derive(Debug)]
pub struct Clip {
    /// Its coding.
    pub law: Law,
    /// Its samples.
    pub samples: Samples,
}

/// Samples that are there, or come while they are played.
#[derive(Debug)]
pub enum Samples {
    /// All of them.
    Whole(Bytes),
    /// Pieces; it ends when the sender is gone.
    Coming(Receiver<Bytes>),
}

impl Clip {
    /// A clip that is there.
    pub fn whole(law: Law, samples: impl Into<Bytes>) -> Self {
        Self { law, samples: Samples::Whole(samples.into()) }
    }
}

/// What became of a packet's time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Samples to send.
    Sound([u8; FRAME]),
    /// Nothing to play, or not there yet.
    Silence,
    /// These samples, and nothing after them.
    Last([u8; FRAME]),
}

/// The clips that wait.
#[derive(Debug, Default)]
pub(super) struct Player {
    clips: VecDeque<Clip>,
    piece: Bytes,
    playing: bool,
}

impl Player {
    /// Plays these after those that wait.
    pub(super) fn play(&mut self, clips: Vec<Clip>) {
        self.clips.extend(clips);
        self.playing = true;
    }

    /// Forgets everything.
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }

    /// Whether there is something to play, or it is still coming.
    pub(super) const fn is_playing(&self) -> bool {
        self.playing
    }

    /// The next 20 ms in that coding.
    pub(super) fn next(&mut self, law: Law) -> Frame {
        if !self.playing {
            return Frame::Silence;
        }
        let mut frame = [silence(law); FRAME];
        let mut filled = 0;
        while filled < FRAME {
            match self.fill() {
                Filled::Some => {}
                Filled::NotYet if filled == 0 => return Frame::Silence,
                Filled::NotYet => return Frame::Sound(frame),
                Filled::Over => {
                    self.playing = false;
                    return Frame::Last(frame);
                }
            }
            let from = self.clips.front().map_or(law, |clip| clip.law);
            let taken = self.piece.split_to(self.piece.len().min(FRAME - filled));
            let place = &mut frame[filled..filled + taken.len()];
            place.copy_from_slice(&taken);
            convert(place, from, law);
            filled += taken.len();
        }
        Frame::Sound(frame)
    }

    /// Sees to it that there is a piece of the first clip.
    fn fill(&mut self) -> Filled {
        while self.piece.is_empty() {
            let Some(clip) = self.clips.front_mut() else { return Filled::Over };
            match &mut clip.samples {
                Samples::Whole(bytes) if !bytes.is_empty() => self.piece = std::mem::take(bytes),
                Samples::Coming(pieces) => match pieces.try_recv() {
                    Ok(piece) => self.piece = piece,
                    Err(TryRecvError::Empty) => return Filled::NotYet,
                    Err(TryRecvError::Disconnected) => drop(self.clips.pop_front()),
                },
                Samples::Whole(_) => drop(self.clips.pop_front()),
            }
        }
        Filled::Some
    }
}

enum Filled {
    Some,
    NotYet,
    Over,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_follow_without_a_gap_and_the_last_is_filled_up() {
        let mut player = Player::default();
        player.play(vec![
            Clip::whole(Law::Mulaw, vec![1; 200]),
            Clip::whole(Law::Mulaw, vec![]),
            Clip::whole(Law::Mulaw, vec![2; 100]),
        ]);
        assert_eq!(player.next(Law::Mulaw), Frame::Sound([1; FRAME]));
        let Frame::Last(last) = player.next(Law::Mulaw) else { panic!("more") };
        assert_eq!(
            (&last[..40], &last[40..140], &last[140..]),
            (&[1; 40][..], &[2; 100][..], &[0xff; 20][..])
        );
        assert_eq!(player.next(Law::Mulaw), Frame::Silence);
    }

    #[test]
    fn a_clip_that_is_still_coming_is_waited_for() {
        let mut player = Player::default();
        let (send, coming) = tokio::sync::mpsc::channel(4);
        player.play(vec![Clip { law: Law::Mulaw, samples: Samples::Coming(coming) }]);
        assert_eq!(player.next(Law::Mulaw), Frame::Silence);
        send.try_send(Bytes::from(vec![3; FRAME])).unwrap();
        assert_eq!(player.next(Law::Mulaw), Frame::Sound([3; FRAME]));
        drop(send);
        assert!(matches!(player.next(Law::Mulaw), Frame::Last(_)));
    }
}
