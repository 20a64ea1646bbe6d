//! From `spec.telephony` to what building needs, or a refusal that names the field.

use crate::tenant::build::access::read_wait;
use crate::tenant::steps::refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use voicemail_cores::child_names::TELEPHONE;
use voicemail_resources::pod_template::{Additions, read};
use voicemail_resources::references::CaRef;
use voicemail_resources::voicemail_tenant::{
    MailboxRange, Telephony, Trunk, TrunkTransport, VoicemailTenant,
};

/// What a class of service without a word of its own allows a message.
const LONGEST_MESSAGE: u32 = 180;
/// Beside the longest message: greeting, menu, and the talk of an owner who is listening.
const BESIDE: Duration = Duration::from_secs(240);
/// As the program takes it.
const LONGEST_DRAIN: Duration = Duration::from_secs(7_200);
/// To bring away what waits on a disk that goes with the pod, though the core be away for a while.
const EMPTYING: Duration = Duration::from_secs(120);
/// The same where the disk stays.
const EMPTYING_KEPT: Duration = Duration::from_secs(10);
/// Mailboxes of which phones are told without a subscription, as the program takes it.
const MOST_NOTIFIED: u64 = 20_000;

/// The telephone of a tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct TelephonyPlan {
    /// As the spec says.
    pub given: Telephony,
    /// What the spec adds to its pods, and where they may run.
    pub additions: Additions,
    /// How long calls may go on in a pod that stops.
    pub drain: Duration,
    /// How long such a pod then brings away what waits.
    pub emptying: Duration,
    /// After so long a recording is destroyed.
    pub max_age: Duration,
    /// Without a key for so long, the menu is said again.
    pub silence: Duration,
    /// The most that waits in a pod.
    pub spool_mib: u32,
    /// Whether the core's certificate comes with its authority, else it is of a public one.
    pub has_authority: bool,
}

impl TelephonyPlan {
    /// Whether a trunk uses TCP.
    pub(super) fn listens_by_tcp(&self) -> bool {
        self.given.trunks.iter().any(|trunk| trunk.uses(TrunkTransport::Tcp))
    }

    /// The Secrets with users, by their folders: those of each trunk that has some, and ours at its proxy.
    pub(super) fn users(&self) -> BTreeMap<String, String> {
        let of = |trunk: &Trunk| Some((trunk.name.clone(), trunk.digest.as_ref()?.secret_ref.name.clone()));
        let at_proxy = |trunk: &Trunk| {
            let secret = trunk.notify.as_ref()?.secret_ref.as_ref()?;
            Some((notify_folder(trunk), secret.name.clone()))
        };
        let trunks = &self.given.trunks;
        trunks.iter().filter_map(of).chain(trunks.iter().filter_map(at_proxy)).collect()
    }

    /// The authorities that the pods read: of trunks' certificates, and of those that they connect to.
    pub(super) fn authorities(&self) -> BTreeSet<CaRef> {
        let trunks =
            self.given.trunks.iter().filter_map(|trunk| Some(&trunk.client_certificates.as_ref()?.ca_ref));
        let peers = self.given.tls.iter().filter_map(|tls| tls.peer_ca_ref.as_ref());
        trunks.chain(peers).cloned().collect()
    }
}

/// Folder of our user at a trunk's proxy: no trunk's name has a point.
pub(super) fn notify_folder(trunk: &Trunk) -> String {
    format!("{}.notify", trunk.name)
}

/// Plans it; none where the tenant has no telephone.
///
/// # Errors
/// [`Refusal`] names the field.
pub fn plan_telephony(
    tenant: &VoicemailTenant,
    has_authority: bool,
) -> Result<Option<TelephonyPlan>, Refusal> {
    let Some(given) = tenant.spec.telephony.clone() else { return Ok(None) };
    let longest = tenant.spec.classes_of_service.iter().map(|class| class.max_seconds.unsigned_abs());
    let longest = Duration::from_secs(longest.max().unwrap_or(0).max(LONGEST_MESSAGE).into());
    let drain = match &given.drain {
        Some(text) => read_wait("telephony.drain", text)?,
        None => (longest + BESIDE).min(LONGEST_DRAIN),
    };
    let spool_mib = given.spool.size.mebibytes().ok_or_else(|| {
        Refusal::InvalidSpec("telephony.spool.size: write an amount of bytes, such as 1Gi".into())
    })?;
    if count_notified(&given) > MOST_NOTIFIED {
        let rule = format!(
            "telephony.trunks: write ranges of at most {MOST_NOTIFIED} mailboxes in all trunks' notify"
        );
        return Err(Refusal::InvalidSpec(rule));
    }
    let additions = read(given.pod_template.as_ref(), TELEPHONE)
        .map_err(|error| Refusal::PodTemplate("telephony.", error))?;
    Ok(Some(TelephonyPlan {
        additions,
        drain,
        emptying: if given.spool.claim.is_some() { EMPTYING_KEPT } else { EMPTYING },
        max_age: read_wait("telephony.spool.maxAge", &given.spool.max_age)?,
        silence: read_wait("telephony.dialogue.silence", &given.dialogue.silence)?,
        spool_mib,
        has_authority,
        given,
    }))
}

fn count_notified(given: &Telephony) -> u64 {
    let ranges =
        given.trunks.iter().filter_map(|trunk| trunk.notify.as_ref()).flat_map(|notify| &notify.mailboxes);
    ranges.map(MailboxRange::count).sum()
}
