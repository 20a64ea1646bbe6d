//! Tenants of the examples, each with what it needs, until it is Ready; those that a cloud must sign in come to the
//! condition that their comments name.

use std::net::IpAddr;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{ConditionStatus, STORAGE_READY};
use voicemail_test_cluster::STORAGE_CLASS;
use voicemail_tests::tenant_manifest::{SIZE, claim_mut, condition, named_example};
use voicemail_tests::tenant_place::TenantPlace;
use voicemail_tests::tenant_stores::{minio_secret, secret, start_minio};

const CHILD: &str = "acme-voicemail";

pub(crate) async fn prepare(prefix: &str) -> TenantPlace {
    voicemail_test_machine::install_crypto();
    TenantPlace::prepare(prefix).await.unwrap()
}

/// The example on a volume of the tests, which are small and many.
pub(crate) async fn on_volume(place: &mut TenantPlace, file: &str) -> VoicemailTenant {
    let (volume, _) = place.create_volume().await.unwrap();
    let mut tenant = named_example(file).unwrap();
    let claim = claim_mut(&mut tenant).unwrap();
    assert_eq!(claim.storage_class_name, STORAGE_CLASS);
    (claim.size, claim.volume_name) = (voicemail_resources::quantity::Amount(SIZE.to_owned()), Some(volume));
    tenant
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_on_a_volume_and_one_that_is_monitored_get_ready() {
    let mut place = prepare("volume").await;
    let tenant = on_volume(&mut place, "volume-tenant.yaml").await;
    place.create(&tenant).await.unwrap();
    place.wait_ready("acme").await.unwrap();

    let mut tenant = on_volume(&mut place, "monitored-tenant.yaml").await;
    tenant.metadata.name = Some("watched".into());
    place.create(&tenant).await.unwrap();
    place.wait_ready("watched").await.unwrap();
    let policy = place.namespace.api::<NetworkPolicy>().get("watched-voicemail").await.unwrap();
    let text = serde_json::to_string(&policy.spec).unwrap();
    assert!(text.contains("\"kubernetes.io/metadata.name\":\"monitoring\""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_a_receiver_serves_and_names_the_receivers_secret_until_it_is_there() {
    let mut place = prepare("receiver").await;
    let tenant = on_volume(&mut place, "mwi-tenant.yaml").await;
    place.create(&tenant).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    let (no, yes) = (ConditionStatus::False, ConditionStatus::True);
    place.wait_condition("acme", "ReceiversReady", no, "ReceiverSecretNotFound").await.unwrap();
    let value = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    place.create(&secret("pbx-webhook", &[("secret", value)])).await.unwrap();
    place.kubectl(&["annotate", "vmt", "acme", "voicemail.dev/reconcile-at=now"]).unwrap();
    place.wait_condition("acme", "ReceiversReady", yes, "SecretsComplete").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_e_mail_serves_and_names_what_is_missing_and_then_the_words_that_are_not_right() {
    let mut place = prepare("email").await;
    let map = |name: &str, key: &str, text: &str| -> ConfigMap {
        serde_json::from_value(json!({"metadata": {"name": name}, "data": {key: text}})).unwrap()
    };
    place.create(&map("mail-words", "en.json", r#"{"footer": "{caller}"}"#)).await.unwrap();
    let tenant = on_volume(&mut place, "email-tenant.yaml").await;
    place.create(&tenant).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    let no = ConditionStatus::False;
    place.wait_condition("acme", "EmailReady", no, "EmailSecretNotFound").await.unwrap();
    place.create(&secret("mail-login", &[("username", "voicemail"), ("password", "x")])).await.unwrap();
    place.create(&map("mail-authority", "ca.crt", "x")).await.unwrap();
    place.kubectl(&["annotate", "vmt", "acme", "voicemail.dev/reconcile-at=now"]).unwrap();
    place.wait_condition("acme", "EmailReady", no, "EmailTemplatesUnusable").await.unwrap();
}

/// The example's issuer is nowhere: that is what its cores say once the Secret is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_pages_serves_them_and_names_the_secret_and_then_the_issuer_that_is_missing() {
    let mut place = prepare("web").await;
    let tenant = on_volume(&mut place, "web-tenant.yaml").await;
    place.create(&tenant).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    let no = ConditionStatus::False;
    place.wait_condition("acme", "WebReady", no, "WebSecretNotFound").await.unwrap();
    let status = place.namespace.api::<VoicemailTenant>().get("acme").await.unwrap().status.unwrap();
    let pages = status.endpoints.iter().find(|endpoint| endpoint.name == "web").unwrap();
    assert_eq!(pages.url, "https://voicemail.acme.example/ui");
    let client = [("clientId", "voicemail"), ("clientSecret", "x")];
    place.create(&secret("acme-pages", &client)).await.unwrap();
    place.kubectl(&["annotate", "vmt", "acme", "voicemail.dev/reconcile-at=now"]).unwrap();
    place.wait_condition("acme", "WebReady", no, "IssuerUnreachable").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_on_somebody_elses_claim_gets_ready_and_leaves_the_claim_alone() {
    let mut place = prepare("claim").await;
    let (volume, _) = place.create_volume().await.unwrap();
    let claim: PersistentVolumeClaim = serde_json::from_value(json!({
        "metadata": {"name": "voicemail-data"},
        "spec": {
            "accessModes": ["ReadWriteMany"], "storageClassName": STORAGE_CLASS, "volumeName": volume,
            "resources": {"requests": {"storage": SIZE}},
        },
    }))
    .unwrap();
    place.create(&claim).await.unwrap();
    place.create(&named_example("existing-claim-tenant.yaml").unwrap()).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    let claim = place.namespace.api::<PersistentVolumeClaim>().get("voicemail-data").await.unwrap();
    assert!(claim.metadata.owner_references.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_scales_by_load_gets_ready_with_its_autoscaler() {
    let mut place = prepare("scaled").await;
    let tenant = on_volume(&mut place, "autoscaling-tenant.yaml").await;
    place.create(&tenant).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    let scaler = place.namespace.api::<HorizontalPodAutoscaler>().get(CHILD).await.unwrap();
    let spec = serde_json::to_value(scaler.spec).unwrap();
    assert_eq!((&spec["minReplicas"], &spec["maxReplicas"]), (&json!(2), &json!(8)));
}

/// As cert-manager leaves it: the certificate, its key and its authority.
fn brought_certificate(namespace: &str) -> (Secret, String) {
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let names = vec![CHILD.to_owned(), format!("{CHILD}.{namespace}.svc")];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let entries =
        [("tls.crt", certificate.pem()), ("tls.key", key.serialize_pem()), ("ca.crt", authority_pem.clone())];
    let entries: Vec<(&str, &str)> = entries.iter().map(|(key, text)| (*key, text.as_str())).collect();
    (secret("acme-tls", &entries), authority_pem)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_waits_for_the_certificate_that_is_brought_and_serves_with_it() {
    let mut place = prepare("brought").await;
    let tenant = on_volume(&mut place, "tls-tenant.yaml").await;
    place.create(&tenant).await.unwrap();
    let no = ConditionStatus::False;
    place.wait_condition("acme", "Ready", no, "TlsSecretInvalid").await.unwrap();
    let (secret, authority) = brought_certificate(place.namespace.name());
    place.create(&secret).await.unwrap();
    place.kubectl(&["annotate", "vmt", "acme", "voicemail.dev/reconcile-at=now"]).unwrap();
    place.wait_ready("acme").await.unwrap();

    let service = place.namespace.api::<k8s_openapi::api::core::v1::Service>().get(CHILD).await.unwrap();
    let address: IpAddr = service.spec.unwrap().cluster_ip.unwrap().parse().unwrap();
    let host = format!("{CHILD}.{}.svc", place.namespace.name());
    let authority = reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([authority]);
    let client = client.resolve(&host, (address, 8081).into()).build().unwrap();
    let answer = client.get(format!("https://{host}:8081/api/v1/me/mailboxes")).send().await.unwrap();
    assert_eq!(answer.status(), 401, "it serves with that certificate, and wants a token");
    a_pod_that_starts_under_a_broken_certificate_serves_with_the_last_good_one(&place, &client, &host).await;
}

async fn a_pod_that_starts_under_a_broken_certificate_serves_with_the_last_good_one(
    place: &TenantPlace,
    client: &reqwest::Client,
    host: &str,
) {
    let (other, _) = brought_certificate(place.namespace.name());
    let key = json!({"data": {"tls.key": other.data.unwrap()["tls.key"]}}).to_string();
    place.kubectl(&["patch", "secret", "acme-tls", "--type=merge", "-p", &key]).unwrap();
    place.kubectl(&["annotate", "vmt", "acme", "--overwrite", "voicemail.dev/reconcile-at=broken"]).unwrap();
    let no = ConditionStatus::False;
    place.wait_condition("acme", "CertificateReady", no, "CertificateUnusable").await.unwrap();
    place.kubectl(&["rollout", "restart", "deployment", CHILD]).unwrap();
    place.kubectl(&["rollout", "status", "deployment", CHILD, "--timeout=120s"]).unwrap();
    let answer = client.get(format!("https://{host}:8081/api/v1/me/mailboxes")).send().await.unwrap();
    assert_eq!(answer.status(), 401, "the pods that have come since serve with it too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_in_a_bucket_gets_ready() {
    let place = prepare("example-s3").await;
    let minio = start_minio().await.unwrap();
    place.create(&minio_secret(&minio)).await.unwrap();
    let mut tenant = named_example("s3-tenant.yaml").unwrap();
    tenant.spec.regions[0].storage.s3.as_mut().unwrap().endpoint = Some(minio.endpoint().url);
    place.create(&tenant).await.unwrap();
    place.wait_ready("acme").await.unwrap();
}

/// Nobody gives the pods a token here, and the condition says whose webhook should have.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_a_cloud_should_sign_in_says_so_until_it_does() {
    for (file, part) in [
        ("web-identity-tenant.yaml", "no web identity"),
        ("workload-identity-tenant.yaml", "no workload identity"),
    ] {
        let place = prepare("identity").await;
        let mut tenant = named_example(file).unwrap();
        tenant.spec.replicas = 1;
        place.create(&tenant).await.unwrap();
        let no = ConditionStatus::False;
        let refused = place.wait_condition("acme", STORAGE_READY, no, "CredentialsRefused").await.unwrap();
        let message = &condition(&refused, STORAGE_READY).unwrap().message;
        assert!(message.contains(part), "{file}: {message}");
    }
}
