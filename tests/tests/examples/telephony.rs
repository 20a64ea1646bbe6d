//! The tenants with a telephone: real phones beside the cluster leave a message, hear it, and see their MWI; nothing is left
//! of it once the field is taken away; and what the telephone's Secrets lack is told by its condition.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::json;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{ConditionStatus, TELEPHONY_READY};
use voicemail_resources::references::Reference;
use voicemail_resources::telephony::OwnPrompts;
use voicemail_test_cluster::STORAGE_CLASS;
use voicemail_test_cluster::layout::HOST_IP;
use voicemail_test_cluster::wait::{wait_gone, wait_until};
use voicemail_test_machine::servers::find_free_port;
use voicemail_test_machine::servers::sipp::Over;
use voicemail_test_machine::servers::sipp_proxy::Proxy;
use voicemail_test_machine::servers::tls_tunnel::Authority;
use voicemail_test_machine::speech::{Coding, Studio, wav_of};
use voicemail_tests::served_tenant::{MAILBOX, serve};
use voicemail_tests::stage::{Deposit, Site};
use voicemail_tests::telephone::{Own, Telephone};
use voicemail_tests::tenant_manifest::SIZE;
use voicemail_tests::tenant_place::{DEADLINE, TenantPlace};
use voicemail_tests::tenant_stores::secret;

use crate::tenants::{on_volume, prepare};

const CHILD: &str = "acme-voicemail-sip";
const PIN: &str = "739154";

/// µ-law samples that differ in every packet: whole packets of 20 ms.
fn sound() -> Vec<u8> {
    // No whole number of packets, as nobody's words are.
    (0..16_100_usize).map(|at| u8::try_from((at / 160 * 7 + at % 160 * 3) % 96).unwrap()).collect()
}

/// A prompt of the tenant's own: two seconds, which nothing else sounds like.
fn own_clip() -> Vec<u8> {
    (0..16_000_usize).map(|at| u8::try_from((at / 160 * 11 + at % 160 * 5) % 96).unwrap()).collect()
}

/// A claim whose volume has that file; its name.
async fn claim_with(place: &mut TenantPlace, file: &str, content: &[u8]) -> String {
    let (volume, folder) = place.create_volume().await.unwrap();
    std::fs::write(folder.join(file), content).unwrap();
    let claim = json!({
        "metadata": {"name": "acme-prompts"},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": SIZE}},
            "storageClassName": STORAGE_CLASS,
            "volumeName": volume,
        },
    });
    place.create(&serde_json::from_value::<PersistentVolumeClaim>(claim).unwrap()).await.unwrap();
    "acme-prompts".to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_leaves_a_message_another_hears_it_and_the_phones_mwi_is_told() {
    let mut place = prepare("telephone").await;
    let mut tenant = on_volume(&mut place, "telephony-tenant.yaml").await;
    let telephony = tenant.spec.telephony.as_mut().unwrap();
    // The phones are this machine's.
    telephony.trunks[0].addresses = vec!["10.0.0.0/8".to_owned(), "fd00::/8".to_owned()];
    let clip = own_clip();
    let claim = Reference { name: claim_with(&mut place, "after-tone.wav", &wav_of(&clip)).await };
    telephony.dialogue.prompts = Some(OwnPrompts { config_map_ref: None, existing_claim_ref: Some(claim) });
    let people = serve(&place, tenant).await.unwrap();
    people.agent.set_pin(MAILBOX, PIN).await.unwrap();
    let served =
        place.wait_condition("acme", TELEPHONY_READY, ConditionStatus::True, "Serving").await.unwrap();
    let status = served.status.unwrap();
    assert_eq!(status.telephony.unwrap().ready_replicas, 2);
    assert!(status.endpoints.iter().any(|endpoint| endpoint.name == "sip"), "{status:?}");

    let site = Site::of_cluster(place.cluster.clone()).await.unwrap();
    let phone = Telephone::of(&site, place.namespace.name(), "acme").await.unwrap();
    let told = ["Voice-Message: 0/0", "Voice-Message: 1/0", "Voice-Message: 0/1"];
    let phone_mwi = phone.watch(MAILBOX, &told).await.unwrap();
    phone.hear_before_beep(MAILBOX, &clip).await.unwrap();
    let own = Own { mailbox: MAILBOX, pin: PIN };
    phone.leave_and_hear(MAILBOX, &people.agent, own, &sound()).await.unwrap();
    let told = phone_mwi.await.unwrap().unwrap();
    assert!(told.iter().all(|text| text.contains(&format!("sip:{MAILBOX}@pbx.example.com"))), "{told:?}");
    check_rest(&place).await;
    check_removal(&place).await;
}

/// A telephone that is as it should be is left alone.
async fn check_rest(place: &TenantPlace) {
    let sets = place.namespace.api::<StatefulSet>();
    let applied = || async { sets.get(CHILD).await.unwrap().metadata.managed_fields.unwrap() };
    let times = |fields: Vec<ManagedFieldsEntry>| {
        let ours = fields.into_iter().filter(|entry| entry.manager.as_deref() == Some("voicemail-operator"));
        ours.map(|entry| entry.time).collect::<Vec<_>>()
    };
    let before = times(applied().await);
    place.kubectl(&["annotate", "vmt", "acme", "voicemail.dev/reconcile-at=now"]).unwrap();
    let looked = |tenant: &VoicemailTenant| {
        tenant
            .status
            .as_ref()
            .is_some_and(|status| status.last_handled_reconcile_at.as_deref() == Some("now"))
    };
    wait_until(&place.tenants(), "acme", "it was looked at", DEADLINE, looked).await.unwrap();
    assert_eq!(times(applied().await), before, "the StatefulSet was written though nothing differs");
}

async fn check_removal(place: &TenantPlace) {
    let without = r#"{"spec": {"telephony": null}}"#;
    place.kubectl(&["patch", "vmt", "acme", "--type=merge", "-p", without]).unwrap();
    let namespace = &place.namespace;
    wait_gone(&namespace.api::<StatefulSet>(), CHILD, DEADLINE).await.unwrap();
    wait_gone(&namespace.api::<NetworkPolicy>(), CHILD, DEADLINE).await.unwrap();
    wait_gone(&namespace.api::<Service>(), CHILD, DEADLINE).await.unwrap();
    wait_gone(&namespace.api::<ConfigMap>(), CHILD, DEADLINE).await.unwrap();
    wait_gone(&namespace.api::<ServiceAccount>(), CHILD, DEADLINE).await.unwrap();
    wait_gone(&namespace.api::<Secret>(), CHILD, DEADLINE).await.unwrap();
    let tenant = place.wait_ready("acme").await.unwrap();
    let status = tenant.status.unwrap();
    assert!(status.telephony.is_none());
    assert!(status.conditions.iter().all(|condition| condition.type_ != TELEPHONY_READY));
    // The account goes with the look after the one that found the pods gone.
    let barred = |config: &ConfigMap| {
        let data = config.data.as_ref();
        data.and_then(|data| data.get("config.yaml")).is_some_and(|text| !text.contains(CHILD))
    };
    let what = "its account may no longer call the core";
    wait_until(&namespace.api::<ConfigMap>(), "acme-voicemail", what, DEADLINE, barred).await.unwrap();
}

/// What the telephone lacks is told one after the other, and a phone that never subscribed is told once nothing does.
#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_names_the_secret_that_keeps_calls_away_and_then_tells_phones_that_never_subscribed() {
    let mut place = prepare("secured").await;
    let mut tenant = on_volume(&mut place, "telephony-tls-tenant.yaml").await;
    // The proxy is on this machine.
    let proxy = find_free_port(HOST_IP.parse().unwrap()).unwrap();
    let pbx = &mut tenant.spec.telephony.as_mut().unwrap().trunks[1];
    pbx.addresses = vec!["10.0.0.0/8".to_owned(), "fd00::/8".to_owned()];
    pbx.notify.as_mut().unwrap().proxy = Some(proxy.to_string());
    let served = serve(&place, tenant).await.unwrap();
    let told = async |reason: &str| {
        let holds = ["Serving", "PromptsIncomplete"].contains(&reason);
        let status = if holds { ConditionStatus::True } else { ConditionStatus::False };
        place
            .kubectl(&[
                "annotate",
                "--overwrite",
                "vmt",
                "acme",
                &format!("voicemail.dev/reconcile-at={reason}"),
            ])
            .unwrap();
        let found = place.wait_condition("acme", TELEPHONY_READY, status, reason).await.unwrap();
        let found = found.status.unwrap().conditions.into_iter().find(|one| one.type_ == TELEPHONY_READY);
        found.unwrap().message
    };
    assert!(told("TelephonySecretNotFound").await.contains("Secret acme-sip-tls"));
    let (own, company) = (Authority::new("own").unwrap(), Authority::new("company").unwrap());
    let shown = own.issue(&["sip.example.com"]).unwrap();
    let ca = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "company-ca"}, "data": {"ca.crt": company.pem()}});
    place.create(&serde_json::from_value::<ConfigMap>(ca).unwrap()).await.unwrap();
    place.create(&secret("acme-pbx-users", &[("users", "desk without a password")])).await.unwrap();
    let pair = [("tls.crt", shown.certificate.as_str()), ("tls.key", shown.key.as_str())];
    place.create(&secret("acme-sip-tls", &pair)).await.unwrap();
    let prompts = json!({"metadata": {"name": "acme-prompts"}, "data": {"goodbye.wav": "no sound"}});
    place.create(&serde_json::from_value::<ConfigMap>(prompts).unwrap()).await.unwrap();
    let unusable = told("TelephonySecretUnusable").await;
    assert!(unusable.contains("acme-pbx-users") && !unusable.contains("desk"), "{unusable}");
    let patch = json!({"stringData": {"users": "desk:a password\n"}}).to_string();
    place.kubectl(&["patch", "secret", "acme-pbx-users", "--type=merge", "-p", &patch]).unwrap();
    // Pods that found no Secret look for it again after minutes; others look at once.
    place.kubectl(&["delete", "pods", "-l", "app.kubernetes.io/name=voicemail-sip", "--wait=false"]).unwrap();
    // What the pods can't say is told while they take calls, and no longer once the kubelet has brought them a clip.
    let lacking = told("PromptsIncomplete").await;
    assert!(lacking.contains("goodbye.wav: it is no WAV file"), "{lacking}");
    let clip =
        json!({"data": null, "binaryData": {"goodbye.wav": BASE64_STANDARD.encode(wav_of(&[0xff; 160]))}})
            .to_string();
    place.kubectl(&["patch", "configmap", "acme-prompts", "--type=merge", "-p", &clip]).unwrap();
    told("Serving").await;
    // Each of the two pods tells the phone of the mailbox that there is, until the proxy is there.
    let taking = Proxy::listen(proxy, Over::Udp, 200, 2).unwrap();
    let taken = taking.take().await.unwrap();
    assert!(taken.summaries.iter().all(|text| text.contains("Voice-Message: 0/0")), "{taken:?}");
    let taking = Proxy::listen(proxy, Over::Udp, 200, 2).unwrap();
    let audio = Studio::open().unwrap().speak("please call back", Coding::ALaw).unwrap();
    served.media_server.deposit(&Deposit::new(MAILBOX, "+442079460123", &audio)).await.unwrap();
    let taken = taking.take().await.unwrap();
    assert!(taken.summaries.iter().all(|text| text.contains("Voice-Message: 1/0")), "{taken:?}");
}
