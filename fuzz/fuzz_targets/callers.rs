//! Callers' numbers: read by every kind of rule set, and what was read stays as it is when read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use voicemail_model::{CallerId, RuleSet};

static RULES: LazyLock<Vec<RuleSet>> = LazyLock::new(|| {
    ["GB", "US", "IT", "JP"].into_iter().map(|region| RuleSet::new(1, region, &[], &[])).collect()
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(caller) = CallerId::new(text) else { return };
    for rules in RULES.iter() {
        let Some(form) = rules.normalise(&caller) else { continue };
        assert!(!form.is_empty());
        if form.starts_with('+') {
            let again = CallerId::new(&form).and_then(|caller| rules.normalise(&caller));
            assert_eq!(
                again.as_deref(),
                Some(&*form),
                "an international number is another one when read again"
            );
        }
    }
});
