//! An answered call: its signalling and its audio as one.

use super::Services;
use crate::media::{Media, MediaEvent};
use crate::sdp::{Local, Offer, write_answer, write_offer};
use crate::signalling::{Leg, LegEvent, SipError};
use std::net::IpAddr;
use voicemail_api::telephony::Law;

/// What happens on a line.
pub(super) enum Event {
    /// On its audio.
    Media(MediaEvent),
    /// The caller hung up, or the line broke.
    Over,
}

pub(super) struct Line {
    leg: Box<dyn Leg>,
    pub(super) media: Media,
    address: IpAddr,
    port: u16,
    session: u64,
    version: u64,
    law: Law,
}

/// Why a call wasn't answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineError {
    /// No ports.
    #[error("no ports for audio")]
    NoPorts,
    /// The caller was gone, or sent what can't be used.
    #[error(transparent)]
    Sip(#[from] SipError),
}

impl Line {
    /// Answers a call that came from `peer`.
    pub(super) async fn answer(
        services: &Services,
        mut leg: Box<dyn Leg>,
        offer: Option<Offer>,
        peer: IpAddr,
    ) -> Result<Self, LineError> {
        let Ok(pair) = services.ports.take().await else {
            leg.reject(503).await;
            return Err(LineError::NoPorts);
        };
        // Audio goes by the family of the offer (RFC 6157), which a proxy between may not have.
        let hears = offer.as_ref().and_then(|offer| offer.audio.host).unwrap_or(peer);
        let (address, port) = (services.config.advertised.to(hears), pair.port());
        let session = u64::from(port) << 32 | u64::from(std::process::id());
        let local = Local { address, port, session, version: 1 };
        let media = Media::open(pair, services.counters.clone());
        let description = match &offer {
            Some(offer) => write_answer(offer, &local),
            None => write_offer(&local),
        };
        let late = leg.answer(&description).await?;
        let audio = offer.or(late).ok_or(SipError::Description)?.audio;
        let law = audio.law;
        media.start(audio);
        Ok(Self { leg, media, address, port, session, version: 1, law })
    }

    /// The coding of its audio.
    pub(super) const fn law(&self) -> Law {
        self.law
    }

    /// The next thing that happens.
    pub(super) async fn event(&mut self) -> Event {
        loop {
            tokio::select! {
                event = self.media.event() => match event {
                    Some(MediaEvent::Lost) | None => return Event::Over,
                    Some(event) => return Event::Media(event),
                },
                event = self.leg.event() => match event {
                    LegEvent::Reoffer(offer) => self.describe_again(&offer).await,
                    // By INFO or by RTP, a key ends a recording all the same.
                    LegEvent::Key(key) => self.media.press(key),
                    LegEvent::Ended | LegEvent::Expired => return Event::Over,
                },
            }
        }
    }

    /// A hold, its end, or another address of the peer's.
    async fn describe_again(&mut self, offer: &Offer) {
        self.version += 1;
        let local =
            Local { address: self.address, port: self.port, session: self.session, version: self.version };
        self.leg.answer_again(&write_answer(offer, &local)).await;
        self.media.start(offer.audio.clone());
    }
}
