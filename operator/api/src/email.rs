//! E-mails about new messages: the server that takes them, and who writes.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::references::{CaRef, Reference};
use super::rules::form;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// E-mails about new messages. How much they tell is the class of service's.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Email {
    /// The server that takes them.
    pub smtp: Smtp,
    /// The sender, also of the envelope: an address, or a name with one, such as `Voicemail <voicemail@example.com>`.
    #[schemars(length(min = 3, max = 320))]
    #[x_kube(validation = form(SENDER, "from: write one address, or a name with one, such as Voicemail <voicemail@example.com>"))]
    pub from: String,
    /// Where answers go, if not to the sender; written alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 320))]
    #[x_kube(validation = form(SENDER, "replyTo: write one address, or a name with one, such as Help <help@example.com>"))]
    pub reply_to: Option<String>,
    /// ConfigMap with the tenant's own words, a key a language such as en.json, over the built-in ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates_ref: Option<Reference>,
}

const SENDER: &str = r"([^<>@,;:\p{Cc}]+<[^<>@,;:\s]+@[A-Za-z0-9.-]+>|[^<>@,;:\s]+@[A-Za-z0-9.-]+)";

/// An SMTP server. The connection is always encrypted.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Smtp {
    /// Its host name, which its certificate must name, such as mail.example.com.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = form("[A-Za-z0-9.-]+", "host: write a host name, such as mail.example.com"))]
    pub host: String,
    /// Its port; 587 for StartTLS and 465 for TLS when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<i32>,
    /// StartTLS: by the command, without which nothing else is said. TLS: from the first byte on.
    #[serde(default)]
    pub tls: SmtpTls,
    /// Secret with the keys username and password; no login when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<Reference>,
    /// The authority of its certificate, if it is a private one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<CaRef>,
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the field says what they mean")]
pub enum SmtpTls {
    #[default]
    #[serde(rename = "StartTLS")]
    StartTls,
    #[serde(rename = "TLS")]
    Tls,
}
