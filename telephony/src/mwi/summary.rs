//! The body and the state of a NOTIFY (RFC 3842, 3.5; RFC 6665, 4.1.3). Pure.

use std::time::Duration;
use voicemail_api::telephony::Counts;

/// Where a subscription is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It lives so long yet.
    Active(Duration),
    /// Its time is over, or the subscriber ended it.
    TimedOut,
    /// This process ends; the subscriber may come back, elsewhere.
    Deactivated,
}

impl State {
    /// The header `Subscription-State`.
    pub fn header(self) -> String {
        match self {
            Self::Active(left) => format!("active;expires={}", left.as_secs()),
            Self::TimedOut => "terminated;reason=timeout".into(),
            Self::Deactivated => "terminated;reason=deactivated".into(),
        }
    }

    /// Whether it is over.
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Active(_))
    }
}

/// `application/simple-message-summary`, with the urgent ones in brackets: some phones want them.
pub fn summary(account: &str, counts: Counts) -> String {
    let waiting = if counts.new > 0 { "yes" } else { "no" };
    let Counts { new, old, urgent_new, urgent_old } = counts;
    format!(
        "Messages-Waiting: {waiting}\r\nMessage-Account: {account}\r\nVoice-Message: {new}/{old} ({urgent_new}/{urgent_old})\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_that_of_the_rfc() {
        let counts = Counts { new: 2, old: 8, urgent_new: 0, urgent_old: 2 };
        assert_eq!(
            summary("sip:1001@pbx", counts),
            "Messages-Waiting: yes\r\nMessage-Account: sip:1001@pbx\r\nVoice-Message: 2/8 (0/2)\r\n"
        );
        assert!(
            summary("sip:1001@pbx", Counts { new: 0, old: 3, ..counts })
                .starts_with("Messages-Waiting: no\r\n")
        );
        assert_eq!(State::Active(Duration::from_secs(59)).header(), "active;expires=59");
    }
}
