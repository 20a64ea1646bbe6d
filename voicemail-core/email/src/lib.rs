//! E-mails about new messages: how they read, and how they are handed to an SMTP server.
//!
//! ```text
//! message, language, content, words ─▶ Letter ─▶ compose ─▶ MIME ─▶ Connection::send ─▶ accepted, or why not
//! ```
//!
//! [`compose`] is pure. A [`Connection`] is always encrypted. What can go wrong is a [`SmtpError`], which says whether it is
//! the address, the mail, the login, the certificate or only the hour; none of its words come from the server, whose answers
//! repeat addresses.

mod clean;
mod html;
mod letter;
mod refusal;
mod smtp;
mod template;

pub use letter::{Caller, ComposeError, Letter, Recording, Sender, Told, compose};
pub use lettre::message::Message as Mail;
pub use refusal::{SmtpError, Step};
pub use smtp::{Connection, Server};
pub use template::{Language, TemplateError, Templates};
