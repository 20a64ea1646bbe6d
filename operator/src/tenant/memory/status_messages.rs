//! Whether two statuses differ in words alone, which may be written a few times only.

use voicemail_resources::VoicemailTenantStatus;

/// Whether nothing but messages and the numbers in them differs.
pub fn differ_in_words_alone(before: &VoicemailTenantStatus, after: &VoicemailTenantStatus) -> bool {
    before != after && without_words(before) == without_words(after)
}

fn without_words(status: &VoicemailTenantStatus) -> VoicemailTenantStatus {
    let mut status = status.clone();
    status.conditions.iter_mut().for_each(|condition| condition.message.clear());
    status
        .regions
        .iter_mut()
        .for_each(|region| region.conditions.iter_mut().for_each(|condition| condition.message.clear()));
    (status.replicas, status.ready_replicas) = (0, 0);
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_reason_is_more_than_words() {
        let status = |reason: &str, message: &str| -> VoicemailTenantStatus {
            let condition = json!({"type": "Ready", "status": "False", "reason": reason, "message": message,
                                   "lastTransitionTime": "2026-11-23T10:00:00Z"});
            serde_json::from_value(json!({ "conditions": [condition] })).unwrap()
        };
        assert!(differ_in_words_alone(&status("A", "x"), &status("A", "y")));
        assert!(!differ_in_words_alone(&status("A", "x"), &status("B", "y")));
        assert!(!differ_in_words_alone(&status("A", "x"), &status("A", "x")));
    }
}
