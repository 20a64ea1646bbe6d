//! The tenant with a telephone: real phones beside the cluster leave a message, hear it, and see their MWI; and nothing is left
//! of it once the field is taken away.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{ConditionStatus, TELEPHONY_READY};
use voicemail_tests::served_tenant::{MAILBOX, serve};
use voicemail_tests::stage::Site;
use voicemail_tests::telephone::{Own, Telephone};
use voicemail_tests::tenant_place::{DEADLINE, TenantPlace};
use voicemail_tests::wait::{wait_gone, wait_until};

use crate::tenants::{on_volume, prepare};

const CHILD: &str = "acme-voicemail-sip";
const PIN: &str = "739154";

/// µ-law samples that differ in every packet: whole packets of 20 ms.
fn sound() -> Vec<u8> {
    (0..16_000_usize).map(|at| u8::try_from((at / 160 * 7 + at % 160 * 3) % 96).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_leaves_a_message_another_hears_it_and_the_phones_mwi_is_told() {
    let mut place = prepare("telephone").await;
    let mut tenant = on_volume(&mut place, "telephony-tenant.yaml").await;
    // The phones are this machine's.
    tenant.spec.telephony.as_mut().unwrap().trunks[0].addresses = vec!["10.0.0.0/8".to_owned()];
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
    let config = namespace.api::<ConfigMap>().get("acme-voicemail").await.unwrap();
    assert!(!config.data.unwrap()["config.yaml"].contains(CHILD), "its account may still call the core");
}
