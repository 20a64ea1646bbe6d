//! Whether the messages' volume outlives its claim.
//!
//! The operator never deletes the claim under `deletionPolicy: Retain`, but somebody may, or the namespace goes with
//! everything in it. What happens to the volume then is decided by its reclaim policy, so that the time to say it is
//! before. Volumes are cluster-wide objects: an operator with rights in some namespaces only can't read them.

use crate::tenant::memory::Memories;
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::{Api, Client};
use std::time::Instant;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{ConditionStatus, DATA_KEPT, Finding};
use voicemail_runtime::calls::{CallError, within_deadline};

/// The reclaim policy of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReclaimFact {
    /// The volume stays: its name.
    Stays(String),
    /// It goes with its claim: its name.
    Goes(String),
    /// It can't be read: its name.
    Unreadable(String),
}

/// Reads the policy of a volume.
///
/// # Errors
/// The API server doesn't answer. Not being allowed to look is a fact.
pub async fn read_reclaim(
    client: &Client,
    memories: &Memories,
    tenant: &VoicemailTenant,
    volume: &str,
) -> Result<ReclaimFact, CallError> {
    let api: Api<PersistentVolume> = Api::all(client.clone());
    let (name, now) = (volume.to_owned(), Instant::now());
    if memories.is_volume_refused(tenant, now) {
        return Ok(ReclaimFact::Unreadable(name));
    }
    match within_deadline("read the volume's reclaim policy", api.get_opt(volume)).await {
        Ok(Some(found)) => Ok(judge(name, &found)),
        Ok(None) => Ok(ReclaimFact::Unreadable(name)),
        Err(error) if error.is_forbidden() => {
            memories.note_volume_refused(tenant, now);
            Ok(ReclaimFact::Unreadable(name))
        }
        Err(error) => Err(error),
    }
}

fn judge(name: String, volume: &PersistentVolume) -> ReclaimFact {
    let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    // A volume that was made by hand keeps its data unless it says otherwise.
    if policy.unwrap_or("Retain") == "Retain" { ReclaimFact::Stays(name) } else { ReclaimFact::Goes(name) }
}

/// The condition.
pub fn find_data_kept(fact: &ReclaimFact) -> Finding {
    match fact {
        ReclaimFact::Stays(name) => Finding::new(
            DATA_KEPT,
            true,
            "VolumeIsRetained",
            format!("PersistentVolume {name} stays when its claim is deleted"),
        ),
        ReclaimFact::Goes(name) => Finding::new(
            DATA_KEPT,
            false,
            "VolumeGoesWithClaim",
            format!(
                "deleting the claim or the namespace deletes all messages, since PersistentVolume {name} \
                 isn't retained: kubectl patch pv {name} -p \
                 '{{\"spec\":{{\"persistentVolumeReclaimPolicy\":\"Retain\"}}}}'"
            ),
        ),
        ReclaimFact::Unreadable(name) => Finding::new(
            DATA_KEPT,
            ConditionStatus::Unknown,
            "ReclaimPolicyForbidden",
            format!(
                "this operator can't read PersistentVolume {name}: see that its reclaim policy is Retain"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(policy: &str) -> ReclaimFact {
        let text = format!("{{spec: {{persistentVolumeReclaimPolicy: {policy}}}}}");
        judge("pv-1".into(), &serde_yaml::from_str(&text).unwrap())
    }

    #[test]
    fn a_volume_that_goes_with_its_claim_is_warned_of_with_the_command_that_helps() {
        assert_eq!(find_data_kept(&fact("Retain")).status, ConditionStatus::True);
        let warning = find_data_kept(&fact("Delete"));
        assert_eq!(warning.status, ConditionStatus::False);
        assert!(
            warning.message.contains(
                r#"kubectl patch pv pv-1 -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'"#
            ),
            "{}",
            warning.message
        );
    }
}
