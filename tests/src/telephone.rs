//! Telephones that call a tenant's pods on the local cluster, from outside it, as a PBX does: sipp leaves a message, dials
//! 5555 with a PIN, and watches its MWI.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use tokio::task::JoinHandle;
use voicemail_cores::child_names::sip_selector_text;
use voicemail_operator::tenant::build::service::METRICS_PORT;

use crate::stage::{Api as CoreApi, Site};
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::servers::listener::Listener;
use voicemail_test_machine::servers::sipp::{Call, MwiPhone, Step, own_address};
use voicemail_test_machine::speech::sound_of;

const SIP: u16 = 5060;
const PATIENCE: Duration = Duration::from_secs(120);
const SENT: &str = "voicemail_sip_notify_total{outcome=\"sent\"}";
/// How often a message is said; greeting and beep are over before the last time.
const TIMES: usize = 6;
/// Samples of a packet.
const PACKET: usize = 160;
/// Samples while the PIN is checked and what comes before a message is said, on a machine that has much else to do.
const LISTENING: usize = 10 * 8_000;
/// Samples of the beep and of what is too short for a message.
const BEEP: usize = 12_000;
/// A sample of silence in µ-law.
const SILENCE: u8 = 0xff;
const BETWEEN_KEYS: Duration = Duration::from_millis(50);

/// What an owner dials in with.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// Their mailbox.
    pub mailbox: &'a str,
    /// Its PIN.
    pub pin: &'a str,
}

/// A telephone beside the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Telephone {
    front: SocketAddr,
}

impl Telephone {
    /// One that calls a pod of the tenant which is ready.
    pub async fn of(site: &Site, namespace: &str, tenant: &str) -> Result<Self> {
        let pods: Api<Pod> = site.api(namespace)?;
        let list = pods.list(&ListParams::default().labels(&sip_selector_text(tenant))).await?;
        let address = list.items.iter().filter(|pod| is_ready(pod)).find_map(address_of);
        let address = address.context("no pod of the telephone is ready")?;
        Ok(Self { front: SocketAddr::new(address, SIP) })
    }

    /// Calls a mailbox and says this over and over: whenever the beep comes, it is there behind it.
    pub async fn leave(&self, mailbox: &str, samples: &[u8]) -> Result<()> {
        let mut call = Call::message(mailbox, &over_and_over(samples));
        call.steps.remove(0);
        call.make(self.front).await
    }

    /// Calls a mailbox, makes sure that these samples are heard before the beep, and hangs up too early for a message.
    pub async fn hear_before_beep(&self, mailbox: &str, samples: &[u8]) -> Result<()> {
        let listener = Listener::open(own_address(self.front)?).await?;
        let mut call = Call::message(mailbox, &[]);
        call.listener = Some(listener.port);
        call.steps = vec![Step::Say(vec![SILENCE; samples.len() + BEEP])];
        call.make(self.front).await?;
        let heard = listener.count();
        ensure!(listener.heard(samples), "the prompt isn't among the {heard} samples that were heard");
        Ok(())
    }

    /// Whether a recording is what [`Self::leave`] says: from some place on, and once as a whole at least.
    pub fn is_said(samples: &[u8], recorded: &[u8]) -> bool {
        let said = samples.repeat(TIMES);
        recorded.len() >= samples.len() && said.windows(recorded.len()).any(|window| window == recorded)
    }

    /// Dials 5555 from the mailbox's own phone, presses the PIN and 1, and makes sure that these samples are heard.
    pub async fn hear(&self, mailbox: &str, pin: &str, samples: &[u8]) -> Result<()> {
        let listener = Listener::open(own_address(self.front)?).await?;
        let mut call = Call::message("5555", &[]);
        call.from = mailbox.to_owned();
        call.listener = Some(listener.port);
        call.steps = vec![Step::Wait(Duration::from_millis(300))];
        for key in pin.chars().chain("#1".chars()) {
            call.steps.extend([Step::Press(key), Step::Wait(BETWEEN_KEYS)]);
        }
        // Who sends nothing for ten seconds is sent nothing.
        call.steps.push(Step::Say(vec![SILENCE; samples.len() + LISTENING]));
        call.make(self.front).await?;
        let heard = listener.count();
        ensure!(listener.heard(samples), "what was said isn't among the {heard} samples that were heard");
        Ok(())
    }

    /// Leaves what is said at a number, waits until the mailbox's owner has it, and dials 5555: the same bytes are heard.
    pub async fn leave_and_hear(
        &self,
        number: &str,
        owner: &CoreApi,
        own: Own<'_>,
        said: &[u8],
    ) -> Result<()> {
        self.leave(number, said).await.context("leaving a message")?;
        // The caller hangs up without waiting for the store.
        let come = async || {
            let messages = owner.list(own.mailbox).await?;
            ensure!(messages.len() == 1, "there are {} messages instead of one", messages.len());
            Ok(messages[0].id)
        };
        let stored = owner.audio(own.mailbox, poll(PATIENCE, come).await?).await?;
        let stored = sound_of(&stored)?;
        ensure!(
            Self::is_said(said, stored),
            "something else was recorded: {}",
            tell_difference(said, stored)
        );
        self.hear(own.mailbox, own.pin, stored).await.context("dialling 5555")
    }

    /// A phone that watches its mailbox's MWI until these were told, one after another; gives what each said. The phone has
    /// answered the first already.
    pub async fn watch(&self, mailbox: &str, told: &[&str]) -> Result<JoinHandle<Result<Vec<String>>>> {
        let before = self.sent_notifies().await?;
        let (phone_mwi, front) = (MwiPhone::own(mailbox, told), self.front);
        let watching = tokio::spawn(async move { phone_mwi.watch(front).await });
        let subscribed = async || {
            ensure!(self.sent_notifies().await? > before, "no NOTIFY was answered");
            Ok(())
        };
        poll(PATIENCE, subscribed).await?;
        Ok(watching)
    }

    /// Notifications that phones have answered, by the pod's own count.
    async fn sent_notifies(&self) -> Result<u64> {
        let url = format!("http://{}/metrics", SocketAddr::new(self.front.ip(), METRICS_PORT));
        let metrics = reqwest::get(url).await?.error_for_status()?.text().await?;
        let line = metrics.lines().find_map(|line| line.strip_prefix(SENT)).unwrap_or("0");
        line.trim().parse().with_context(|| format!("{SENT}{line}"))
    }
}

/// The samples again and again, in whole packets: sipp fills up the last one from the beginning, which is said then, too.
fn over_and_over(samples: &[u8]) -> Vec<u8> {
    let mut said = samples.repeat(TIMES);
    said.truncate(said.len() / PACKET * PACKET);
    said
}

/// How a recording differs from what was said over and over: a packet that was lost or late shows as the place where it does.
fn tell_difference(samples: &[u8], recorded: &[u8]) -> String {
    let (said, first) = (samples.repeat(TIMES + 1), recorded.get(..PACKET).unwrap_or_default());
    let lengths = format!("{} samples, of which {} are said once", recorded.len(), samples.len());
    let Some(begin) = said.windows(PACKET).position(|packet| packet == first) else {
        return format!("{lengths}; its first packet isn't said");
    };
    let same = recorded.iter().zip(&said[begin..]).take_while(|(one, other)| one == other).count();
    format!("{lengths}; it begins at sample {begin}, and differs after {same}")
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

fn address_of(pod: &Pod) -> Option<IpAddr> {
    pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_ends_with_a_whole_packet_and_is_known_again_up_to_its_end() {
        let samples: Vec<u8> = (0..29_156_usize).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let said = over_and_over(&samples);
        assert_eq!(said.len() % PACKET, 0, "sipp would go on with the beginning");
        assert!(said.len() + PACKET > samples.len() * TIMES);
        assert!(Telephone::is_said(&samples, &said[20_000..]));
    }
}
