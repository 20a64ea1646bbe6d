//! Data subjects as a request names them, and the hashes under which their messages may be filed.
//!
//! Both of the vendor's nestings are read; only `phone` identifies a caller, everything else is counted
//! as not applicable. Each identifier is echoed exactly as given. Its hashes are those of all its forms
//! under every rule set ever used. While a run needs them the identifiers are sealed (AES-256-GCM)
//! under a key derived from the tenant's.

use super::GdprError;
use crate::context::Context;
use crate::model::{CallerHash, CallerId, MessageName, RuleSet, RunId};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeSet;

/// Identifiers that one request may name.
const MOST: usize = 1_000;

/// The consumers of a request.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Subject {
    /// Phone identifiers exactly as given, in their order, each once.
    pub(super) phones: Vec<String>,
    /// How many identifiers were of other kinds.
    pub(super) not_applicable: u32,
    /// Messages that were named, each once.
    pub(super) messages: Vec<MessageName>,
}

impl Subject {
    /// Reads `consumers`.
    pub(super) fn parse(consumers: &[Value]) -> Result<Self, GdprError> {
        let mut subject = Self { phones: Vec::new(), not_applicable: 0, messages: Vec::new() };
        for consumer in consumers {
            match consumer.get("consumer") {
                Some(Value::Array(identifiers)) => {
                    identifiers.iter().try_for_each(|identifier| subject.read_identifiers(identifier))?;
                }
                Some(_) => return Err(invalid("consumer must be a list of identifiers")),
                None => subject.read_identifiers(consumer)?,
            }
        }
        if subject.phones.len() > MOST {
            return Err(invalid("name at most 1000 phone identifiers in one request"));
        }
        Ok(subject)
    }

    fn read_identifiers(&mut self, identifiers: &Value) -> Result<(), GdprError> {
        let fields = identifiers
            .as_object()
            .ok_or_else(|| invalid("each must be an object such as {\"phone\": …}"))?;
        for (kind, value) in fields {
            if kind == "phone" { self.read_phones(value)? } else { self.not_applicable += count(value) }
        }
        Ok(())
    }

    fn read_phones(&mut self, value: &Value) -> Result<(), GdprError> {
        match value {
            Value::String(phone) if phone.len() > CallerId::MAX_BYTES => Err(invalid("a phone is too long")),
            Value::String(phone) if phone.trim().is_empty() => Err(invalid("a phone is empty")),
            Value::String(phone) => {
                if !self.phones.contains(phone) {
                    self.phones.push(phone.clone());
                }
                Ok(())
            }
            Value::Array(phones) => phones.iter().try_for_each(|phone| match phone {
                Value::String(_) => self.read_phones(phone),
                _ => Err(invalid("a phone must be text, in quotes")),
            }),
            _ => Err(invalid("a phone must be text, in quotes")),
        }
    }

    /// Whether nobody is named.
    pub(super) fn is_empty(&self) -> bool {
        self.phones.is_empty() && self.messages.is_empty()
    }

    /// Refuses a request that names nobody.
    pub(super) fn require(self) -> Result<Self, GdprError> {
        if self.is_empty() { Err(GdprError::NoConsumers) } else { Ok(self) }
    }

    /// All hashes that any of the phones may be filed under.
    pub(super) fn callers(&self, context: &Context) -> Vec<CallerHash> {
        let all: BTreeSet<CallerHash> = self.phones.iter().flat_map(|phone| hashes(context, phone)).collect();
        all.into_iter().collect()
    }

    /// Tells one subject from another without holding an identifier: a keyed digest of its phones, by the
    /// tenant's first rule set, so that it stays the same when rule sets are added.
    pub(super) fn digest(&self, context: &Context) -> String {
        let identity = context.identity();
        let normalise = |phone: &String| {
            let form =
                CallerId::named(phone).and_then(|caller| identity.rule_sets.first()?.normalise(&caller));
            form.unwrap_or_else(|| phone.clone())
        };
        let phones: BTreeSet<String> = self.phones.iter().map(normalise).collect();
        let messages = self.messages.iter().map(|name| format!("message {name}"));
        let text: Vec<String> = phones.into_iter().chain(messages).collect();
        context.key().tag("subject", text.join("\n").as_bytes())
    }

    /// Seals the identifiers for a run.
    pub(super) fn seal(&self, context: &Context, run: &RunId) -> Option<String> {
        let mut bytes = serde_json::to_vec(&self.phones).ok()?;
        let nonce: [u8; 12] = context.world().random();
        let aad = Aad::from(run.as_str().as_bytes());
        sealing_key(context)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes)
            .ok()?;
        Some(STANDARD.encode([nonce.as_slice(), &bytes].concat()))
    }

    /// Opens what [`seal`](Self::seal) made.
    pub(super) fn open(context: &Context, run: &RunId, sealed: &str) -> Option<Self> {
        let bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(12)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let opened = sealing_key(context)?
            .open_in_place(nonce, Aad::from(run.as_str().as_bytes()), &mut sealed)
            .ok()?;
        let phones = serde_json::from_slice(opened).ok()?;
        Some(Self { phones, not_applicable: 0, messages: Vec::new() })
    }
}

/// Reads the rule sets again, and refuses to search if one of them can't be carried out here.
pub(super) async fn refresh_rules(context: &Context) -> Result<(), GdprError> {
    context.refresh_identity().await?;
    let known = context.identity().rule_sets.iter().all(RuleSet::is_known);
    if known { Ok(()) } else { Err(GdprError::NewerRules) }
}

/// Hashes of one phone, under every rule set ever used.
pub(super) fn hashes(context: &Context, phone: &str) -> BTreeSet<CallerHash> {
    let Some(caller) = CallerId::named(phone) else { return BTreeSet::new() };
    let identity = context.identity();
    let forms = identity.rule_sets.iter().filter_map(|rules| rules.normalise(&caller));
    forms.map(|form| context.key().hash(&form)).collect()
}

/// All hashes that a caller may be filed under, by the rule sets as they are registered now.
///
/// # Errors
/// `NewerRules`, or the store's.
pub(crate) async fn caller_hashes(context: &Context, phone: &str) -> Result<Vec<CallerHash>, GdprError> {
    refresh_rules(context).await?;
    Ok(hashes(context, phone).into_iter().collect())
}

fn sealing_key(context: &Context) -> Option<LessSafeKey> {
    let key = context.key().derive("seal", b"");
    UnboundKey::new(&AES_256_GCM, &key).ok().map(LessSafeKey::new)
}

fn invalid(text: &str) -> GdprError {
    GdprError::InvalidConsumers(text.into())
}

fn count(value: &Value) -> u32 {
    value.as_array().map_or(1, |list| u32::try_from(list.len()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn phones(consumers: Value) -> Result<(Vec<String>, u32), GdprError> {
        let subject = Subject::parse(consumers.as_array().unwrap())?;
        Ok((subject.phones, subject.not_applicable))
    }

    #[test]
    fn both_nestings_are_read() {
        let flat = json!([{"phone": ["555551212", "+44 20"]}, {"phone": "7"}]);
        assert_eq!(phones(flat).unwrap(), (vec!["555551212".into(), "+44 20".into(), "7".into()], 0));
        let nested =
            json!([{"consumer": [{"name": "A"}, {"phone": "555551212"}, {"email": ["a@b", "c@d"]}]}]);
        assert_eq!(phones(nested).unwrap(), (vec!["555551212".into()], 3));
    }

    #[test]
    fn an_identifier_named_twice_counts_once() {
        assert_eq!(phones(json!([{"phone": ["7", "7"]}, {"phone": "7"}])).unwrap().0, ["7"]);
    }

    #[test]
    fn other_shapes_are_refused_without_repeating_them() {
        for bad in [
            json!([5]),
            json!([{"phone": 5551212}]),
            json!([{"phone": [5]}]),
            json!([{"consumer": "x"}]),
            json!([{"phone": " "}]),
        ] {
            let error = phones(bad.clone()).unwrap_err().to_string();
            assert!(!error.contains("5551212"), "{bad}: {error}");
        }
    }
}
