//! All that the rest of the program knows of SIP: calls come in, are answered or refused, tell what happens, and end.
//!
//! ```text
//! INVITE ─▶ Incoming::Call ─▶ answer ─▶ (ACK) ─▶ events ─▶ BYE
//! ```
//!
//! The one implementation is [`rsip`]; what is said in headers is read by the pure [`address`], [`evidence`] and
//! [`identity`]. SIP's Call-ID never leaves here: a call is known by an id of ours, which is its first message's id, too.

pub mod address;
pub mod digest;
pub mod evidence;
pub mod identity;
pub mod rsip;

use crate::media::telephone_event::Key;
use crate::sdp::Offer;
use async_trait::async_trait;
use evidence::Evidence;
use identity::Identity;
use std::net::IpAddr;
use std::time::Duration;
use uuid::Uuid;
use voicemail_api::ErrorClass;

/// Why a request of ours came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SipError {
    /// The call ended meanwhile.
    #[error("the call is over")]
    Over,
    /// A description of the peer's can't be used.
    #[error("the peer's description of the session can't be used")]
    Description,
    /// The message couldn't be sent, or nothing was answered.
    #[error("a SIP message couldn't be sent, or wasn't answered")]
    NotSent,
    /// The proxy's name has no address from which answers would be taken.
    #[error("the trunk's proxy isn't found among the trunk's addresses")]
    Unreachable,
    /// The answer was no.
    #[error("refused ({0})")]
    Refused(u16),
}

impl SipError {
    /// A call that is over stays so.
    pub const fn class(self) -> ErrorClass {
        match self {
            Self::Over | Self::Description => ErrorClass::Permanent,
            Self::NotSent | Self::Unreachable | Self::Refused(_) => ErrorClass::Transient,
        }
    }
}

/// What comes in.
pub enum Incoming {
    /// A call.
    Call(Box<IncomingCall>),
    /// A phone that wants to show its MWI.
    Subscription(Box<IncomingSubscription>),
}

/// A call that waits for an answer.
pub struct IncomingCall {
    /// Ours, made when it came.
    pub id: Uuid,
    /// Name of the trunk that it came by.
    pub trunk: String,
    /// What says for whom it is.
    pub evidence: Evidence,
    /// Who calls.
    pub identity: Identity,
    /// The caller's description; none if it comes with the ACK.
    pub offer: Option<Offer>,
    /// The address that it came from.
    pub peer: IpAddr,
    /// The call itself.
    pub leg: Box<dyn Leg>,
}

/// A subscription to a mailbox's counts, which waits for an answer.
pub struct IncomingSubscription {
    /// Name of the trunk that it came by.
    pub trunk: String,
    /// The number or name that is asked for.
    pub asked: Option<String>,
    /// Who asks.
    pub identity: Identity,
    /// How long it is to live; zero for who asks once.
    pub time: Duration,
    /// The subscriber.
    pub subscriber: Box<dyn Subscriber>,
}

/// The other side of a subscription. Dropped, nothing more is known of it.
#[async_trait]
pub trait Subscriber: Send {
    /// Takes it.
    async fn accept(&mut self) -> Result<(), SipError>;

    /// Refuses it.
    async fn refuse(self: Box<Self>, status: u16);

    /// Tells a state (`Subscription-State`) and a summary; fails when the subscriber knows nothing of it any more.
    async fn notify(&mut self, state: &str, body: &str) -> Result<(), SipError>;

    /// The next renewal: its time, zero for the end. `None` if none can come.
    async fn renewed(&mut self) -> Option<Duration>;
}

/// A mailbox's counts for a phone that never subscribed.
#[derive(Clone, PartialEq, Eq)]
pub struct Notice {
    /// Name of the trunk whose proxy takes it.
    pub trunk: String,
    /// The phone's address.
    pub to: String,
    /// The mailbox's own.
    pub account: String,
    /// The summary (RFC 3842, 5).
    pub body: String,
}

/// What the peer does during a call.
#[derive(Debug)]
pub enum LegEvent {
    /// A new description, such as a hold; answered by [`Leg::answer_again`].
    Reoffer(Offer),
    /// A key by INFO.
    Key(Key),
    /// The peer hung up or took the call back.
    Ended,
    /// The session's time is over, or the peer never acknowledged the answer.
    Expired,
}

/// The signalling of one call. Dropped, it hangs up.
#[async_trait]
pub trait Leg: Send + Sync {
    /// Answers, and waits for the acknowledgement: the description that came with it, if the call came without one.
    async fn answer(&mut self, description: &str) -> Result<Option<Offer>, SipError>;

    /// Refuses.
    async fn reject(self: Box<Self>, status: u16);

    /// The next thing that the peer does.
    async fn event(&mut self) -> LegEvent;

    /// Answers a new description.
    async fn answer_again(&mut self, description: &str);
}

/// A way for calls to come in.
#[async_trait]
pub trait Signalling: Send + Sync {
    /// The next one; `None` when it has ended.
    async fn next(&self) -> Option<Incoming>;

    /// Takes no new calls from now on.
    fn drain(&self);

    /// Tells a phone, and waits for the answer, for half a minute at most.
    async fn notify(&self, notice: &Notice) -> Result<(), SipError>;
}
