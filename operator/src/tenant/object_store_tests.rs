//! Tenants on object stores, through the same pure steps: what is refused, rendered and reported.

use crate::tenant::build::{Built, BuiltStorage, build};
use crate::tenant::facts::credentials::{RegionPlan, SecretKind, Source};
use crate::tenant::steps::apply::{Applied, AppliedStorage};
use crate::tenant::steps::dereference::{Facts, StorageFacts};
use crate::tenant::steps::refusal::Refusal;
use crate::tenant::steps::status::{Outcome, compute_status};
use crate::tenant::steps::status_tests::{applied_outcome, condition, deployment, unready_core};
use crate::tenant::steps::validate::Plan;
use crate::tenant::tests::{example, facts, now, plan_with};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use voicemail_api::config::{AzureCredentials, CallerTagging, EtagQuoting, S3Credentials, StorageConfig};
use voicemail_api::readiness::{Readiness, RegionHealth};
use voicemail_cores::pods::PodSeen;
use voicemail_resources::conditions::ConditionStatus::{False, True};
use voicemail_resources::conditions::find_condition;
use voicemail_resources::voicemail_tenant::{RegionRole, VoicemailTenant, VoicemailTenantStatus};
use voicemail_runtime::calls::{Classified, ErrorClass};

const CLIENT: &str = "22222222-2222-2222-2222-222222222222";

fn on(regions: Value) -> VoicemailTenant {
    let mut value = example();
    value["spec"]["regions"] = regions;
    serde_json::from_value(value).unwrap()
}

fn azure(credentials: Value) -> Value {
    json!({"azureBlob": {"account": "acmevoice", "container": "voicemail", "prefix": "a/b", "credentials": credentials}})
}

fn on_azure(credentials: Value) -> VoicemailTenant {
    on(json!([{"name": "eu-west", "storage": azure(credentials)}]))
}

fn on_s3(credentials: Value) -> VoicemailTenant {
    let s3 = json!({"bucket": "voice", "prefix": "acme", "region": "eu-west-1", "endpoint": "https://minio:9000",
                    "etagQuoting": "Bare", "credentials": credentials});
    on(json!([{"name": "eu-west", "storage": {"s3": s3}}]))
}

fn secret(name: &str) -> Value {
    json!({"secretRef": {"name": name}})
}

fn vault() -> Value {
    json!({"keyVault": {"vaultName": "acme-vault", "tenantID": CLIENT, "clientID": CLIENT, "secretName": "key",
                        "entry": "SASToken", "cloud": "AzureChinaCloud"}})
}

fn with(secrets: &[(&str, &[&'static str])], classes: Option<&[&str]>) -> Facts {
    let secrets: BTreeMap<_, _> =
        secrets.iter().map(|(name, keys)| ((*name).to_owned(), keys.to_vec())).collect();
    let provider_classes = classes.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    Facts { storage: StorageFacts::ObjectStores { secrets, provider_classes }, ..facts() }
}

pub(crate) fn complete() -> Facts {
    let both: &[&str] = &["accessKeyId", "secretAccessKey"];
    with(&[("azure", &["accountKey"]), ("other", &["sasToken"]), ("s3", both)], Some(&[]))
}

fn planned(tenant: &VoicemailTenant) -> Plan {
    plan_with(tenant, &complete()).unwrap()
}

fn built(tenant: &VoicemailTenant) -> Built {
    build(&planned(tenant)).unwrap()
}

fn pod(tenant: &VoicemailTenant) -> Value {
    serde_json::to_value(built(tenant).deployment).unwrap()["spec"]["template"].clone()
}

fn refusal(tenant: &VoicemailTenant, facts: &Facts) -> Refusal {
    plan_with(tenant, facts).unwrap_err()
}

// validate

#[test]
fn a_missing_or_incomplete_secret_is_named_with_the_key_that_it_lacks() {
    let none = refusal(&on_s3(secret("s3")), &with(&[], None));
    assert_eq!(
        (none.reason(), none.class(), none.is_about_storage()),
        ("CredentialsMissing", ErrorClass::Transient, true)
    );
    assert!(none.to_string().contains("region eu-west: Secret s3 isn't in this namespace"), "{none}");
    assert!(none.to_string().contains("accessKeyId and secretAccessKey"), "{none}");
    let half = refusal(&on_s3(secret("s3")), &with(&[("s3", &["accessKeyId"])], None));
    assert!(half.to_string().contains("Secret s3 has no secretAccessKey: add it"), "{half}");
    let other = refusal(&on_azure(secret("azure")), &with(&[("azure", &["ca.crt"])], None));
    assert!(other.to_string().contains("Secret azure has no accountKey or sasToken"), "{other}");
}

#[test]
fn a_vault_needs_the_driver_and_nothing_else_does() {
    let refused = refusal(&on_azure(vault()), &with(&[], None));
    assert_eq!(refused.reason(), "SecretProviderClassMissing");
    assert!(refused.is_about_storage());
    assert!(plan_with(&on_azure(vault()), &with(&[], Some(&[]))).is_ok());
    assert!(plan_with(&on_azure(secret("azure")), &with(&[("azure", &["accountKey"])], None)).is_ok());
}

#[test]
fn the_pods_have_one_identity() {
    let identity = |client: &str| azure(json!({"workloadIdentity": {"clientID": client}}));
    let mut other = identity("33333333-3333-3333-3333-333333333333");
    other["azureBlob"]["account"] = json!("another");
    let regions = json!([{"name": "eu-west", "storage": identity(CLIENT)}, {"name": "us", "storage": other}]);
    assert_eq!(refusal(&on(regions), &complete()).reason(), "InvalidSpec");
}

// build

#[test]
fn the_core_is_told_each_store_and_its_folder_of_credentials() {
    let config = planned(&on_s3(secret("s3"))).config;
    let StorageConfig::S3(s3) = &config.regions[0].storage else { panic!("{config:?}") };
    assert_eq!(
        (s3.bucket.as_str(), s3.prefix.as_deref(), s3.region.as_str()),
        ("voice", Some("acme"), "eu-west-1")
    );
    assert_eq!(
        (s3.endpoint.as_deref(), s3.etag_quoting),
        (Some("https://minio:9000"), Some(EtagQuoting::Bare))
    );
    assert_eq!(s3.credentials, S3Credentials::Files { dir: "/etc/voicemail/regions/eu-west".into() });
    let config = planned(&on_azure(json!({"workloadIdentity": {"clientID": CLIENT}}))).config;
    let StorageConfig::AzureBlob(azure) = &config.regions[0].storage else { panic!("{config:?}") };
    assert_eq!((azure.account.as_str(), azure.container.as_str()), ("acmevoice", "voicemail"));
    assert_eq!(azure.credentials, AzureCredentials::WorkloadIdentity {});
}

#[test]
fn numbers_quotas_tags_and_buffers_reach_the_core() {
    let mut tenant = on_s3(secret("s3"));
    tenant.spec.numbers = serde_json::from_value(json!({
        "defaultRegion": "GB", "callerTag": "Hash", "withheld": ["Amtsleitung"],
        "prefixes": [{"prefix": "9"}, {"prefix": "6", "replaceWith": "+4420", "digits": 3}],
    }))
    .unwrap();
    tenant.spec.classes_of_service[0].quota_seconds = Some(1800);
    tenant.spec.upload_buffer = serde_json::from_value(json!("128Mi")).unwrap();
    let config = planned(&tenant).config;
    assert_eq!((config.caller_tag, config.upload_buffer_mib), (CallerTagging::Hash, 128));
    assert_eq!(config.store_calls, 64);
    tenant.spec.store_calls = 200;
    assert_eq!(planned(&tenant).config.store_calls, 200);
    assert_eq!(config.classes_of_service[0].quota_seconds, Some(1800));
    assert_eq!(config.withheld_callers, ["Amtsleitung"]);
    let prefixes: Vec<_> = config
        .number_prefixes
        .iter()
        .map(|p| (p.prefix.as_str(), p.replace_with.as_str(), p.digits))
        .collect();
    assert_eq!(prefixes, [("9", "", None), ("6", "+4420", Some(3))]);
}

#[test]
fn a_secret_is_mounted_with_the_keys_that_the_core_reads_and_there_is_no_claim() {
    let tenant = on_s3(secret("s3"));
    assert!(matches!(built(&tenant).storage, BuiltStorage::ObjectStores(classes) if classes.is_empty()));
    let volumes = pod(&tenant)["spec"]["volumes"].clone();
    let volume = volumes.as_array().unwrap().iter().find(|v| v["name"] == "region-eu-west").unwrap();
    let item = |key: &str| json!({"key": key, "path": key});
    let items = ["accessKeyId", "secretAccessKey", "sessionToken", "ca.crt"].map(item);
    assert_eq!(
        volume["secret"],
        json!({"secretName": "s3", "optional": true, "defaultMode": 0o440, "items": items})
    );
    assert!(!volumes.to_string().contains("persistentVolumeClaim"), "{volumes}");
    let mounts = &pod(&tenant)["spec"]["containers"][0]["volumeMounts"];
    let expected =
        json!({"name": "region-eu-west", "mountPath": "/etc/voicemail/regions/eu-west", "readOnly": true});
    assert!(mounts.as_array().unwrap().contains(&expected), "{mounts}");
    assert!(!mounts.to_string().contains("/var/lib/voicemail"), "{mounts}");
}

#[test]
fn every_pod_holds_the_credentials_of_every_region() {
    let mut other = azure(secret("other"));
    other["azureBlob"]["account"] = json!("acmevoiceus");
    let tenant =
        on(json!([{"name": "eu-west", "storage": azure(secret("azure"))}, {"name": "us", "storage": other}]));
    let volumes = pod(&tenant)["spec"]["volumes"].clone();
    let secrets: Vec<_> =
        volumes.as_array().unwrap().iter().filter_map(|v| v["secret"]["secretName"].as_str()).collect();
    assert_eq!(
        secrets,
        ["acme-voicemail-keys", "acme-voicemail-tls", "acme-voicemail-ledger", "azure", "other"]
    );
    assert_eq!(planned(&tenant).config.regions.len(), 2);
}

#[test]
fn another_secret_rolls_the_pods_and_another_content_does_not() {
    let one = pod(&on_azure(secret("azure")));
    assert_ne!(one, pod(&on_azure(secret("other"))));
    let rotated =
        plan_with(&on_azure(secret("azure")), &with(&[("azure", &["sasToken", "ca.crt"])], None)).unwrap();
    let rotated = serde_json::to_value(build(&rotated).unwrap().deployment).unwrap();
    assert_eq!(one, rotated["spec"]["template"]);
}

#[test]
fn another_address_or_a_further_region_rolls_the_pods_and_a_limit_does_not() {
    let old = on_s3(secret("s3"));
    let rolls = |change: fn(&mut VoicemailTenant)| {
        let mut tenant = old.clone();
        change(&mut tenant);
        pod(&tenant)["metadata"]["annotations"] != pod(&old)["metadata"]["annotations"]
    };
    assert!(rolls(|tenant| {
        let s3 = tenant.spec.regions[0].storage.s3.as_mut().unwrap();
        s3.endpoint = Some("https://elsewhere:9000".into());
    }));
    assert!(rolls(|tenant| {
        let mut other = tenant.spec.regions[0].clone();
        other.name = "us-east".into();
        other.storage.s3.as_mut().unwrap().bucket = "voice-us".into();
        tenant.spec.regions.push(other);
    }));
    assert!(!rolls(|tenant| tenant.spec.gdpr = serde_json::from_value(json!({"undoWindow": "1h"})).unwrap()));
}

#[test]
fn a_vault_is_mounted_by_the_driver_under_the_name_that_the_core_reads() {
    let tenant = on_azure(vault());
    let BuiltStorage::ObjectStores(classes) = built(&tenant).storage else { panic!() };
    let class = serde_json::to_value(&classes[0]).unwrap();
    assert_eq!(class["apiVersion"], "secrets-store.csi.x-k8s.io/v1");
    assert_eq!(class["metadata"]["name"], "acme-voicemail-eu-west");
    assert_eq!(class["metadata"]["labels"]["voicemail.dev/tenant-uid"], "uid-1");
    assert_eq!(class["spec"]["provider"], "azure");
    let parameters = &class["spec"]["parameters"];
    assert_eq!(
        (&parameters["keyvaultName"], &parameters["clientID"]),
        (&json!("acme-vault"), &json!(CLIENT))
    );
    assert_eq!(
        (&parameters["usePodIdentity"], &parameters["cloudName"]),
        (&json!("false"), &json!("AzureChinaCloud"))
    );
    let objects: Value = serde_yaml::from_str(parameters["objects"].as_str().unwrap()).unwrap();
    let object: Value = serde_yaml::from_str(objects["array"][0].as_str().unwrap()).unwrap();
    assert_eq!(object, json!({"objectName": "key", "objectType": "secret", "objectAlias": "sasToken"}));
    let pod = pod(&tenant);
    let csi = json!({"driver": "secrets-store.csi.k8s.io", "readOnly": true,
                     "volumeAttributes": {"secretProviderClass": "acme-voicemail-eu-west"}});
    assert!(pod["spec"]["volumes"].as_array().unwrap().iter().any(|volume| volume["csi"] == csi), "{pod}");
}

#[test]
fn without_a_client_the_nodes_identity_reads_the_vault() {
    let mut credentials = vault();
    credentials["keyVault"].as_object_mut().unwrap().remove("clientID");
    let BuiltStorage::ObjectStores(classes) = built(&on_azure(credentials)).storage else { panic!() };
    let parameters = &classes[0].data["spec"]["parameters"];
    assert_eq!(parameters["useVMManagedIdentity"], "true");
    assert!(parameters.get("clientID").is_none());
}

#[test]
fn another_secret_of_the_vault_rolls_the_pods() {
    let mut other = vault();
    other["keyVault"]["secretName"] = json!("key-2");
    assert_ne!(pod(&on_azure(vault()))["metadata"], pod(&on_azure(other))["metadata"]);
}

#[test]
fn a_class_that_no_region_uses_is_left_over() {
    use crate::tenant::facts::storage::StoragePlan;
    let facts = with(&[("azure", &["accountKey"])], Some(&["acme-voicemail-eu-west"]));
    let unused = |credentials: Value| match plan_with(&on_azure(credentials), &facts).unwrap().storage {
        StoragePlan::ObjectStores { unused_classes, .. } => unused_classes,
        other => panic!("{other:?}"),
    };
    assert_eq!(unused(secret("azure")), ["acme-voicemail-eu-west"]);
    assert_eq!(unused(vault()), Vec::<String>::new());
}

#[test]
fn identities_are_on_the_account_and_another_one_rolls_the_pods() {
    let entra = "44444444-4444-4444-4444-444444444444";
    let tenant = on_azure(json!({"workloadIdentity": {"clientID": CLIENT, "tenantID": entra}}));
    let account = built(&tenant).service_account.metadata.annotations.unwrap();
    assert_eq!(account["azure.workload.identity/client-id"], CLIENT);
    assert_eq!(account["azure.workload.identity/tenant-id"], entra);
    let first = pod(&tenant);
    assert_eq!(first["metadata"]["labels"]["azure.workload.identity/use"], "true");
    assert!(!first["spec"]["volumes"].to_string().contains("region-"), "{first}");
    let other = on_azure(json!({"workloadIdentity": {"clientID": entra, "tenantID": entra}}));
    assert_ne!(pod(&other)["metadata"], first["metadata"]);

    let role = "arn:aws:iam::123456789012:role/voicemail";
    let tenant = on_s3(json!({"webIdentity": {"roleARN": role}}));
    assert_eq!(
        built(&tenant).service_account.metadata.annotations.unwrap()["eks.amazonaws.com/role-arn"],
        role
    );
    assert!(pod(&tenant)["metadata"]["labels"].get("azure.workload.identity/use").is_none());
}

// status

fn two_regions() -> VoicemailTenant {
    let mut other = azure(secret("other"));
    other["azureBlob"]["account"] = json!("acmevoiceus");
    on(json!([{"name": "eu-west", "storage": azure(secret("azure"))}, {"name": "us", "storage": other}]))
}

fn seen(name: &str, fault: Option<&str>) -> RegionHealth {
    RegionHealth {
        name: name.into(),
        reachable: fault.is_none(),
        message: fault.map(str::to_owned),
        ..RegionHealth::default()
    }
}

fn core(fault: Option<&str>) -> PodSeen {
    let core = Readiness {
        ready: true,
        store_id: Some("store-1".into()),
        regions: vec![seen("eu-west", None), seen("us", fault)],
        ..Readiness::default()
    };
    PodSeen { name: "pod-1".into(), core: Some(core), ..PodSeen::default() }
}

fn status_with(pods: &[PodSeen], ready: i32) -> VoicemailTenantStatus {
    let source = Source::Secret { name: "azure".into(), kind: SecretKind::Azure };
    let regions = vec![RegionPlan { region: "eu-west".into(), source }];
    let applied = Applied::for_test(deployment(ready, 2, 2), AppliedStorage::ObjectStores(regions));
    compute_status(&two_regions(), &applied_outcome(&applied, pods), None, now())
}

#[test]
fn a_region_that_is_away_is_named_while_the_tenant_serves() {
    let status = status_with(&[core(None), core(Some("no route"))], 2);
    assert_eq!(condition(&status, "Ready"), (True, "Available".into()));
    assert_eq!(condition(&status, "StorageReady"), (False, "RegionUnreachable".into()));
    let message = &find_condition(&status.conditions, "StorageReady").unwrap().message;
    assert!(message.contains("region us can't be used: no route"), "{message}");
    let regions: Vec<_> = status
        .regions
        .iter()
        .map(|r| (r.name.as_str(), r.storage.as_str(), r.role == RegionRole::Primary, !r.is_unreachable()))
        .collect();
    assert_eq!(regions, [("eu-west", "azureBlob", true, true), ("us", "azureBlob", false, false)]);
    assert_eq!(status.regions[1].conditions[0].message, "no route");
    let back = status_with(&[core(None)], 2);
    assert_eq!(condition(&back, "StorageReady"), (True, "StoreAnswers".into()));
    assert!(
        back.regions
            .iter()
            .all(|region| region.conditions[0].status == True && region.conditions[0].message.is_empty())
    );
}

#[test]
fn a_store_that_takes_no_messages_is_told_while_the_tenant_serves() {
    let saying = |reason: &str| {
        let mut pod = core(None);
        let inner = pod.core.as_mut().unwrap();
        (inner.reason, inner.message) = (Some(reason.into()), Some("words".into()));
        pod
    };
    for reason in ["StorageFull", "WritesForbidden", "EncryptionDemanded", "StorageLocked"] {
        let status = status_with(&[core(None), saying(reason)], 2);
        assert_eq!(condition(&status, "Ready"), (True, "Available".into()));
        assert_eq!(condition(&status, "StorageReady"), (False, reason.into()));
    }
    let low = status_with(&[saying("StorageLow"), core(None)], 2);
    assert_eq!(condition(&low, "StorageReady"), (True, "StorageLow".into()));
    let worse = status_with(&[saying("StorageLow"), saying("StorageFull")], 2);
    assert_eq!(condition(&worse, "StorageReady"), (False, "StorageFull".into()));
}

#[test]
fn a_region_that_is_away_is_no_reason_for_a_slow_roll_out() {
    let status = status_with(&[core(Some("no route"))], 1);
    assert_eq!(condition(&status, "Reconciling"), (True, "RolloutInProgress".into()));
}

#[test]
fn refused_credentials_name_what_to_check() {
    let status = status_with(&[unready_core("CredentialsRefused")], 0);
    assert_eq!(condition(&status, "StorageReady"), (False, "CredentialsRefused".into()));
    let message = &find_condition(&status.conditions, "Ready").unwrap().message;
    assert!(
        message.contains("words: check Secret azure (accountKey or sasToken) of region eu-west"),
        "{message}"
    );
    assert!(status.regions.iter().all(|region| region.conditions[0].status != True));
}

#[test]
fn a_master_that_stopped_answering_is_not_reachable() {
    let mut away = core(None);
    let inner = away.core.as_mut().unwrap();
    (inner.ready, inner.reason, inner.message) =
        (false, Some("StorageUnavailable".into()), Some("gone".into()));
    let status = status_with(&[away], 0);
    assert_eq!((!status.regions[0].is_unreachable(), !status.regions[1].is_unreachable()), (false, true));
    assert_eq!(status.regions[0].conditions[0].message, "gone");
}

#[test]
fn another_store_than_the_known_one_is_never_taken_for_it() {
    let mut tenant = two_regions();
    tenant.status = Some(VoicemailTenantStatus { store_id: Some("store-0".into()), ..Default::default() });
    let applied = Applied::for_test(deployment(2, 2, 2), AppliedStorage::ObjectStores(Vec::new()));
    let status = compute_status(&tenant, &applied_outcome(&applied, &[core(None)]), None, now());
    assert_eq!(condition(&status, "StorageReady"), (False, "StoreReplaced".into()));
    assert_eq!(status.store_id.as_deref(), Some("store-0"));
    let message = &find_condition(&status.conditions, "StorageReady").unwrap().message;
    assert!(message.contains("serve store store-1") && message.contains("in store store-0"), "{message}");
}

#[test]
fn a_refusal_keeps_what_was_known_of_the_regions() {
    let mut tenant = two_regions();
    tenant.status = Some(status_with(&[core(Some("no route"))], 2));
    let refusal = refusal(&tenant, &with(&[], None));
    let status = compute_status(&tenant, &Outcome::Refused(&refusal), None, now());
    assert_eq!(condition(&status, "StorageReady"), (False, "CredentialsMissing".into()));
    assert_eq!(status.regions, tenant.status.unwrap().regions);
}

#[test]
fn every_example_is_planned_as_it_is() {
    for text in [
        include_str!("../../../examples/s3-tenant.yaml"),
        include_str!("../../../examples/azure-tenant.yaml"),
        include_str!("../../../examples/keyvault-tenant.yaml"),
        include_str!("../../../examples/two-regions-tenant.yaml"),
    ] {
        let mut value: Value = serde_yaml::from_str(text).unwrap();
        value["metadata"]["uid"] = json!("uid-1");
        let tenant: VoicemailTenant = serde_json::from_value(value).unwrap();
        let both: &[&str] = &["accessKeyId", "secretAccessKey"];
        let key: &[&str] = &["accountKey"];
        let facts =
            with(&[("acme-s3", both), ("acme-azure", key), ("acme-eu", key), ("acme-us", key)], Some(&[]));
        let plan = plan_with(&tenant, &facts).unwrap();
        assert_eq!(plan.storage.regions().len(), tenant.spec.regions.len());
    }
}
