//! A tenant's defaults for mailboxes that receive callers.

use serde::{Deserialize, Serialize};

/// For mailboxes that say nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceptionConfig {
    /// Where a caller who doesn't want to leave a message may be connected to: a number or an address of the
    /// telephony's, such as `+442079460100` or `sip:desk@example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opt_out: Option<String>,
    /// Language of prompts, such as `en-GB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Time zone by its IANA name, such as `Europe/London`; UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}
