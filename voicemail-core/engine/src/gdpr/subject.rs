//! Data subjects as a request names them, and the hashes under which their messages may be filed.
//!
//! Both of the vendor's nestings are read; only `phone` identifies a caller, everything else is counted
//! as not applicable. Each identifier is echoed exactly as given. The callers it means are decided by the rule set in
//! force: its form is a sure hash. Where rule sets of old filed the same person, in this or another spelling, is a
//! doubtful hash, because they filed strangers there, too (see [`Target`]). While a run needs them the identifiers are
//! sealed (AES-256-GCM) under a key derived from the tenant's.
//!
//! What can go wrong: an identifier that names nobody, or that may mean two people. Both are refused before anything
//! is done, by their position in the request.

use super::GdprError;
use super::target::Target;
use crate::context::Context;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeSet;
use voicemail_model::{ByRules, CallerHash, CallerId, MessageName, RuleSet, Run, RunId};
use voicemail_store::StoreError;

/// Identifiers that one request may name.
const MOST: usize = 1_000;

/// The consumers of a request.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Subject {
    /// Phone identifiers exactly as given, in their order, each once.
    pub(super) phones: Vec<String>,
    /// Where each stood among all phones of the request, from 1.
    positions: Vec<u32>,
    seen: u32,
    /// How many identifiers were of other kinds.
    pub(super) not_applicable: u32,
    /// Messages that were named, each once.
    pub(super) messages: Vec<MessageName>,
}

impl Subject {
    /// Reads `consumers`.
    pub(super) fn parse(consumers: &[Value]) -> Result<Self, GdprError> {
        let mut subject = Self::default();
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
                self.seen = self.seen.saturating_add(1);
                if !self.phones.contains(phone) {
                    self.phones.push(phone.clone());
                    self.positions.push(self.seen);
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

    /// Refuses identifiers that stand for nobody, and those that may mean two people.
    pub(super) fn require_clear(&self, context: &Context) -> Result<(), GdprError> {
        self.require_somebody(context)?;
        let rules = context.rules_in_force()?;
        match self.position(|caller| rules.readings(caller).len() > 1) {
            Some(position) => Err(GdprError::AmbiguousNumber { position }),
            None => Ok(()),
        }
    }

    /// Refuses identifiers that stand for nobody: under them are the messages of everybody who gave no number.
    pub(super) fn require_somebody(&self, context: &Context) -> Result<(), GdprError> {
        let rules = context.rules_in_force()?;
        match self.position(|caller| rules.normalise(caller).is_none()) {
            Some(position) => Err(GdprError::CallerWithheld { position }),
            None => Ok(()),
        }
    }

    /// Position of the first phone of a kind in the request, from 1.
    fn position(&self, is: impl Fn(&CallerId) -> bool) -> Option<u32> {
        let found =
            self.phones.iter().position(|phone| CallerId::named(phone).is_some_and(|one| is(&one)))?;
        Some(self.positions.get(found).copied().unwrap_or_default())
    }

    /// The callers it is about, by the rule set in force.
    pub(super) fn target(&self, context: &Context) -> Result<Target, StoreError> {
        let rules = context.rules_in_force()?;
        Ok(Target { messages: self.messages.clone(), ..callers(context, &rules, &self.phones) })
    }

    /// As [`target`](Self::target), by the rule set by which its run was made.
    pub(super) fn target_of(&self, context: &Context, run: &Run) -> Result<Target, StoreError> {
        let made_by = run.doubtful.as_ref().and_then(|doubtful| find_rules(context, doubtful.rules));
        let rules = made_by.map_or_else(|| context.rules_in_force(), Ok)?;
        Ok(Target { messages: self.messages.clone(), ..callers(context, &rules, &self.phones) })
    }

    /// Tells one subject from another without holding an identifier: a keyed digest of all that its phones may mean by
    /// the rule set in force, whose number stands before it.
    pub(super) fn digest(&self, context: &Context) -> Result<String, StoreError> {
        Ok(self.digest_by(context, &context.rules_in_force()?))
    }

    fn digest_by(&self, context: &Context, rules: &RuleSet) -> String {
        format!("r{}.{}", rules.id, self.digest_forms(context, &self.forms(rules)))
    }

    fn forms(&self, rules: &RuleSet) -> BTreeSet<String> {
        let read = |phone: &String| {
            let forms = CallerId::named(phone).map(|caller| rules.readings(&caller)).unwrap_or_default();
            if forms.is_empty() { vec![phone.clone()] } else { forms }
        };
        self.phones.iter().flat_map(read).collect()
    }

    fn digest_forms(&self, context: &Context, forms: &BTreeSet<String>) -> String {
        let messages = self.messages.iter().map(|name| format!("message {name}"));
        let text: Vec<String> = forms.iter().cloned().chain(messages).collect();
        context.key().tag("subject", text.join("\n").as_bytes())
    }

    /// As runs were told apart before a digest said by which rule set: by the tenant's first.
    fn digest_of_before(&self, context: &Context) -> String {
        let identity = context.identity();
        let first = identity.rule_sets.first();
        let normalise = |phone: &String| {
            let form = CallerId::named(phone).and_then(|caller| first?.normalise(&caller));
            form.unwrap_or_else(|| phone.clone())
        };
        self.digest_forms(context, &self.phones.iter().map(normalise).collect())
    }

    /// Whether a run is about this subject, in whatever spelling. It is read by the rule set by which the run was made.
    pub(super) fn is_of(&self, context: &Context, run: &Run) -> bool {
        let made_by = run.subject.strip_prefix('r').and_then(|rest| rest.split_once('.'));
        if let Some((rules, _)) = made_by {
            let rules = rules.parse().ok().and_then(|id| find_rules(context, id));
            return rules.is_some_and(|rules| self.digest_by(context, &rules) == run.subject);
        }
        // A run of before: its own identifiers say more than its digest, while they are there.
        let sealed = run.sealed.as_deref().unwrap_or_default();
        match (Self::open(context, &run.id, sealed), context.rules_in_force()) {
            (Some(theirs), Ok(rules)) => {
                let theirs = Self { messages: self.messages.clone(), ..theirs };
                theirs.forms(&rules) == self.forms(&rules) && theirs.digest_of_before(context) == run.subject
            }
            _ => self.digest_of_before(context) == run.subject,
        }
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
        Some(Self { phones, ..Self::default() })
    }
}

/// Reads the rule sets again, and refuses to search if one of them can't be carried out here.
pub(super) async fn refresh_rules(context: &Context) -> Result<(), GdprError> {
    context.refresh_identity().await?;
    let known = context.identity().rule_sets.iter().all(RuleSet::is_known);
    if known { Ok(()) } else { Err(GdprError::NewerRules) }
}

fn find_rules(context: &Context, id: u32) -> Option<RuleSet> {
    context.identity().rule_sets.iter().find(|rules| rules.id == id).cloned()
}

/// Where the phones' messages are filed: surely under their forms by that rule set, and perhaps wherever any rule set
/// ever used would have filed one of their spellings.
fn callers(context: &Context, rules: &RuleSet, phones: &[String]) -> Target {
    let (identity, key) = (context.identity(), context.key());
    let (mut sure, mut perhaps) = (BTreeSet::new(), BTreeSet::new());
    for caller in phones.iter().filter_map(|phone| CallerId::named(phone)) {
        let forms = rules.readings(&caller);
        let hashes: Vec<CallerHash> = forms.iter().map(|form| key.hash(form)).collect();
        let spellings = forms.iter().flat_map(|form| RuleSet::spellings(form)).chain(forms.iter().cloned());
        let spellings = spellings.filter_map(|spelling| CallerId::named(&spelling)).chain([caller.clone()]);
        // A spelling that is somebody else's by this rule set leads nowhere.
        for spelling in spellings.filter(|spelling| rules.reads_as(key, spelling, &hashes)) {
            let filed = identity.rule_sets.iter().filter_map(|rules| rules.normalise(&spelling));
            perhaps.extend(filed.map(|form| key.hash(&form)));
        }
        sure.extend(hashes);
    }
    let doubtful = perhaps.difference(&sure).cloned().collect();
    let doubtful = Some(ByRules::new(rules.id, doubtful)).filter(|_| !sure.is_empty());
    Target { callers: sure.into_iter().collect(), doubtful, messages: Vec::new() }
}

/// The callers that one phone of a request or a run means.
pub(super) fn target_of_phone(context: &Context, phone: &str, run: &Run) -> Result<Target, StoreError> {
    Subject { phones: vec![phone.to_owned()], ..Subject::default() }.target_of(context, run)
}

/// The callers that a requested number means, by the rule sets as they are registered now.
///
/// # Errors
/// `CallerWithheld`, `NewerRules`, or the store's.
pub async fn find_caller(context: &Context, phone: &str) -> Result<SoughtCaller, GdprError> {
    refresh_rules(context).await?;
    let subject = Subject { phones: vec![phone.to_owned()], positions: vec![1], ..Subject::default() };
    subject.require_somebody(context)?;
    Ok(SoughtCaller(subject.target(context)?))
}

/// A caller whose messages somebody looks for.
#[derive(Clone, Debug)]
pub struct SoughtCaller(Target);

impl SoughtCaller {
    /// Hashes under which the caller's messages may be.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = &CallerHash> {
        self.0.all_callers()
    }

    /// Whether a message that is filed under a hash is the caller's.
    pub(crate) async fn left(
        &self,
        context: &Context,
        filed: &CallerHash,
        given: Option<&CallerId>,
    ) -> Result<bool, StoreError> {
        self.0.admits(context, filed, given).await
    }
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
