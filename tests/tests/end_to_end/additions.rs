//! What a tenant adds to its pods, on the cluster: a store that is reached through a proxy alone and has a certificate of the
//! company's own authority; containers, volumes and variables; and what clients find in the status.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use voicemail_resources::conditions::{ACCESS_READY, ConditionStatus, READY};
use voicemail_resources::references::{CaKind, CaRef};
use voicemail_resources::voicemail_tenant::{PodTemplate, Proxy};
use voicemail_test_cluster::layout::HOST_IP;
use voicemail_test_cluster::wait::wait_until;
use voicemail_test_machine::servers::tinyproxy::Tinyproxy;
use voicemail_test_machine::servers::tls_tunnel::{Authority, serve_tls};
use voicemail_tests::tenant_manifest::{condition, tenant_on};
use voicemail_tests::tenant_place::{DEADLINE, TenantPlace};
use voicemail_tests::tenant_stores::{minio_secret, start_minio, tenant_on_minio};

async fn prepare(prefix: &str) -> TenantPlace {
    voicemail_test_machine::install_crypto();
    TenantPlace::prepare(prefix).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_behind_a_proxy_with_a_certificate_of_the_companys_authority_is_reached() {
    let place = prepare("proxied").await;
    let minio = start_minio().await.unwrap();
    let authority = Authority::new("company").unwrap();
    let identity = authority.issue(&[HOST_IP]).unwrap();
    let listen = HOST_IP.parse().unwrap();
    let (store, _tunnel) = serve_tls(&identity, listen, minio.address()).await.unwrap();
    let proxy = Tinyproxy::start(listen).await.unwrap();
    place.create(&minio_secret(&minio)).await.unwrap();
    let mut tenant = tenant_on_minio(&minio).unwrap();
    let s3 = tenant.spec.regions[0].storage.s3.as_mut().unwrap();
    s3.endpoint = Some(format!("https://{store}"));
    tenant.spec.proxy = Some(Proxy { https_proxy: Some(proxy.url.clone()), ..Proxy::default() });
    tenant.spec.trusted_ca_ref = Some(CaRef { kind: CaKind::ConfigMap, name: "company-ca".into() });
    place.create(&tenant).await.unwrap();

    let missing =
        place.wait_condition("acme", ACCESS_READY, ConditionStatus::False, "TrustedCANotFound").await;
    let words = condition(&missing.unwrap(), ACCESS_READY).unwrap().message.clone();
    assert!(words.contains("company-ca"), "{words}");
    let map: ConfigMap = serde_json::from_value(
        json!({"metadata": {"name": "company-ca"}, "data": {"ca.crt": authority.pem()}}),
    )
    .unwrap();
    place.create(&map).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    proxy.ensure_asked_for(&store.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_adds_containers_volumes_and_variables_and_what_is_the_operators_stays_its_own() {
    let mut place = prepare("template").await;
    let (volume, _) = place.create_volume().await.unwrap();
    let mut tenant = tenant_on("acme", &volume).unwrap();
    tenant.spec.replicas = 1;
    let image = tenant.spec.image.clone();
    let template =
        |spec: serde_json::Value| serde_json::from_value::<PodTemplate>(json!({ "spec": spec })).unwrap();
    tenant.spec.pod_template = Some(template(json!({
        "volumes": [{"name": "extra", "emptyDir": {}}],
        "containers": [{
            "name": "voicemail", "env": [{"name": "TZ", "value": "Europe/London"}],
            "volumeMounts": [{"name": "extra", "mountPath": "/extra"}],
        }],
        "securityContext": {"supplementalGroups": [4242]},
    })));
    place.create(&tenant).await.unwrap();
    let ready = place.wait_ready("acme").await.unwrap();
    let chosen = ListParams::default().labels("voicemail.dev/tenant=acme");
    let pods = place.namespace.api::<Pod>().list(&chosen).await.unwrap();
    let pod = serde_json::to_value(&pods.items[0]).unwrap();
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["env"], json!([{"name": "TZ", "value": "Europe/London"}]));
    let mounts = container["volumeMounts"].as_array().unwrap();
    assert!(mounts.iter().any(|mount| mount["mountPath"] == "/extra"), "{mounts:?}");
    assert_eq!(pod["spec"]["securityContext"]["supplementalGroups"], json!([4242]));
    assert_eq!(ready.spec.image, image, "nothing is written into a spec");

    let refused = json!({"spec": {"podTemplate": {"spec": {"containers": [{"name": "voicemail", "command": ["sh"]}]}}}});
    place.tenants().patch("acme", &PatchParams::default(), &Patch::Merge(&refused)).await.unwrap();
    let told = |tenant: &voicemail_resources::VoicemailTenant| {
        condition(tenant, "Stalled").is_some_and(|stalled| stalled.reason == "PodTemplateProtected")
    };
    let stalled =
        wait_until(&place.tenants(), "acme", "the protected part is named", DEADLINE, told).await.unwrap();
    let words = &condition(&stalled, READY).unwrap().message;
    assert!(words.contains("podTemplate.spec.containers[0].command"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_find_the_authority_and_the_binding_in_the_status() {
    let mut place = prepare("binding").await;
    let (volume, _) = place.create_volume().await.unwrap();
    let mut tenant = tenant_on("acme", &volume).unwrap();
    tenant.spec.replicas = 1;
    place.create(&tenant).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    let told = |tenant: &voicemail_resources::VoicemailTenant| {
        tenant.status.as_ref().is_some_and(|status| status.ca_ref.is_some())
    };
    let tenant = wait_until(&place.tenants(), "acme", "the authority is told", DEADLINE, told).await.unwrap();
    let status = tenant.status.unwrap();
    let map: ConfigMap = place.namespace.api().get(&status.ca_ref.unwrap().name).await.unwrap();
    let served: Secret = place.namespace.api().get("acme-voicemail-tls").await.unwrap();
    let authority = String::from_utf8(served.data.unwrap()["ca.crt"].0.clone()).unwrap();
    assert_eq!(map.data.unwrap()["ca.crt"], authority);
    let binding: Secret = place.namespace.api().get(&status.binding.unwrap().name).await.unwrap();
    let data = binding.data.unwrap();
    let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
    assert_eq!(binding.type_.as_deref(), Some("servicebinding.io/voicemail"));
    assert_eq!(text("uri"), status.endpoints[0].url);
    assert_eq!(text("certificates"), authority);
    let keys: Vec<&str> = data.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["audience", "certificates", "host", "port", "provider", "type", "uri"],
        "no credential"
    );
}
