//! Why a server didn't take a mail, by what has to change before it will.

use lettre::transport::smtp::Error;
use std::error::Error as _;

/// A step of handing over a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Connection and greeting.
    Connect,
    /// Encryption.
    Encrypt,
    /// Login.
    Login,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA` and the mail itself.
    Content,
}

/// Why a mail wasn't taken. Holds no words of the server: they may repeat addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SmtpError {
    /// Credentials or CA can't be read.
    #[error("the mail server can't be used: {0}")]
    Setup(String),
    /// No connection, or none that lasted.
    #[error("the mail server can't be reached")]
    Unreachable,
    /// The server didn't answer in time.
    #[error("the mail server didn't answer in time ({0:?})")]
    TimedOut(Step),
    /// The server offers no STARTTLS.
    #[error("the mail server offers no STARTTLS: nothing is sent in clear")]
    NoTls,
    /// Somebody on the way has answered in the server's place before the encryption began.
    #[error("somebody between here and the mail server answers in its place: nothing is sent")]
    Intercepted,
    /// The certificate isn't valid for the host, or its CA isn't known.
    #[error("the mail server's certificate isn't accepted: check host and CA")]
    Certificate,
    /// Name or password is wrong, or the server knows no way of login that is known here.
    #[error("the mail server refuses the login")]
    Login,
    /// This sender may not send, or not to such addresses.
    #[error("the mail server refuses the sender ({0})")]
    Sender(u16),
    /// Nobody has this address; it stays so.
    #[error("the mail server refuses an address ({0})")]
    Recipient(u16),
    /// The mail is too large for the server or the reader's mailbox.
    #[error("the mail server refuses a mail as too large ({0})")]
    TooLarge(u16),
    /// This mail isn't taken, now or later.
    #[error("the mail server refuses a mail ({0})")]
    Content(u16),
    /// Not now.
    #[error("the mail server defers a mail ({0:?}, {1})")]
    Deferred(Step, u16),
}

impl SmtpError {
    /// Whether every other mail would fare alike: nothing else needs to be tried now.
    pub fn is_about_server(&self) -> bool {
        match self {
            Self::Recipient(_) | Self::TooLarge(_) | Self::Content(_) => false,
            Self::Deferred(step, _) | Self::TimedOut(step) => {
                !matches!(step, Step::Recipient | Step::Content)
            }
            _ => true,
        }
    }

    /// Whether a server that was given a mail and fared so may have it nevertheless.
    pub fn leaves_doubt(&self) -> bool {
        matches!(self, Self::Unreachable | Self::TimedOut(Step::Content))
    }

    /// A stable word for metrics, logs and conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Setup(_) => "Setup",
            Self::Unreachable => "Unreachable",
            Self::TimedOut(_) => "TimedOut",
            Self::NoTls => "NoTls",
            Self::Intercepted => "Intercepted",
            Self::Certificate => "Certificate",
            Self::Login => "Login",
            Self::Sender(_) => "SenderRefused",
            Self::Recipient(_) => "AddressRefused",
            Self::TooLarge(_) => "TooLarge",
            Self::Content(_) => "MailRefused",
            Self::Deferred(..) => "Deferred",
        }
    }

    /// Classes an answer, or the lack of one, at a step.
    pub(crate) fn of(step: Step, error: &Error) -> Self {
        if is_certificate(error) {
            return Self::Certificate;
        }
        let Some(code) = error.status().map(u16::from) else {
            return match step {
                Step::Login if error.is_client() => Self::Login,
                _ if error.is_timeout() => Self::TimedOut(step),
                _ => Self::Unreachable,
            };
        };
        classify(step, code, &error.source().map(ToString::to_string).unwrap_or_default())
    }
}

fn is_certificate(error: &Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if tls
            .or_else(|| cause.downcast_ref())
            .is_some_and(|tls| matches!(tls, rustls::Error::InvalidCertificate(_)))
        {
            return true;
        }
        source = cause.source();
    }
    false
}

/// By step, reply code (RFC 5321, 4.2) and enhanced status code (RFC 3463).
fn classify(step: Step, code: u16, text: &str) -> SmtpError {
    let enhanced = text.split_whitespace().next().unwrap_or_default();
    if code < 500 {
        return SmtpError::Deferred(step, code);
    }
    let subject = enhanced.split_once('.').map_or("", |(_, subject)| subject);
    match (step, subject) {
        // The reader's mailbox is full (2.2): it may be emptied.
        (Step::Recipient | Step::Content, "2.2") => SmtpError::Deferred(step, code),
        // Too large for the server (3.4) or the mailbox (2.3).
        (Step::Sender | Step::Recipient | Step::Content, "3.4" | "2.3") => SmtpError::TooLarge(code),
        (Step::Connect | Step::Encrypt, _) => SmtpError::Unreachable,
        (Step::Login, _) => SmtpError::Login,
        // Without an enhanced code, 552 says that storage is exceeded: too large.
        (Step::Sender | Step::Content, "") if code == 552 => SmtpError::TooLarge(code),
        (Step::Sender, _) => SmtpError::Sender(code),
        // Policy (7.x): the server doesn't relay for us. The address itself may be good.
        (Step::Recipient, subject) if subject.starts_with("7.") => SmtpError::Sender(code),
        (Step::Recipient, _) => SmtpError::Recipient(code),
        (Step::Content, _) => SmtpError::Content(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_classed_by_step_code_and_enhanced_code() {
        use Step::{Connect, Content, Login, Recipient, Sender};
        for (step, code, text, expected) in [
            (Connect, 554, "no service", SmtpError::Unreachable),
            (Login, 535, "5.7.8 bad", SmtpError::Login),
            (Login, 454, "4.7.0 later", SmtpError::Deferred(Login, 454)),
            (Sender, 550, "5.7.1 no", SmtpError::Sender(550)),
            (Sender, 552, "5.3.4 too big", SmtpError::TooLarge(552)),
            (Recipient, 550, "5.1.1 <ann@example.com> unknown", SmtpError::Recipient(550)),
            (Recipient, 554, "5.7.1 relay access denied", SmtpError::Sender(554)),
            (Recipient, 550, "5.7.1 relaying denied", SmtpError::Sender(550)),
            (Recipient, 552, "5.2.2 mailbox full", SmtpError::Deferred(Recipient, 552)),
            (Recipient, 450, "4.2.0 greylisted", SmtpError::Deferred(Recipient, 450)),
            (Content, 552, "message too large", SmtpError::TooLarge(552)),
            (Content, 554, "5.6.0 no", SmtpError::Content(554)),
            (Content, 451, "4.3.0 later", SmtpError::Deferred(Content, 451)),
        ] {
            assert_eq!(classify(step, code, text), expected, "{step:?} {code} {text}");
        }
    }

    #[test]
    fn no_error_repeats_what_a_server_said() {
        let error = classify(Step::Recipient, 550, "5.1.1 <ann@example.com> unknown");
        assert!(!format!("{error} {error:?} {}", error.reason()).contains("ann"));
    }

    #[test]
    fn what_concerns_one_address_or_mail_keeps_no_other_back() {
        assert!(!SmtpError::Recipient(550).is_about_server());
        assert!(!SmtpError::Deferred(Step::Recipient, 450).is_about_server());
        assert!(SmtpError::Deferred(Step::Sender, 421).is_about_server());
        assert!(SmtpError::Certificate.is_about_server() && SmtpError::Sender(550).is_about_server());
    }
}
