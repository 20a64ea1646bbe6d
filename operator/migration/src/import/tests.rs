use super::vendor::{parse_tenants, parse_values};
use super::*;
use clap::Parser;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

const TENANTS: &str = r#"[
    {"name": "t2026", "tenant_id": "2026", "tenant_uuid": "2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d", "status": "INIT"},
    {"name": "9350_Support", "tenant_id": 9350, "tenant_uuid": "9350e2fc-a1dd-4c65-8d40-1f75a2e080dd"}
]"#;

const VALUES: &str = "
replicaCount: 1
maxReplicas: 5
deployment: {type: deployment}
image: {repository: voice/voicemail_node}
context:
  create: true
  envs: {port: 8081, storageInterface: FileSystem, currentRegion: westus2, gwsBaseUrl: http://gws/auth/v3}
volumes:
  pvcOne: {create: true, mountPath: /data, claim: voice-voicemail-pvc, claimSize: 3Gi, storageClass: voice-voicemail}
secrets:
  blobStorage: {general: {mode: k8s, enabled: false, secretName: voicemail-secrets}}
resources: {requests: {cpu: 250m}}
smtp: {enabled: true, allowed: true}
prometheus: {podMonitor: {enabled: true, path: /metrics}}
";

fn arguments(flags: &[&str]) -> Arguments {
    let line = ["import", "tenants.json", "--values", "values.yaml", "--number-region", "US"];
    Line::parse_from(line.iter().chain(flags)).arguments
}

fn import(tenants: &str, values: &str, flags: &[&str]) -> Result<Conversion, ImportError> {
    convert(&parse_tenants(tenants, "t")?, &parse_values(values, "v")?, &arguments(flags))
}

#[test]
fn each_tenant_of_the_list_becomes_a_manifest_on_the_claim_that_is_there() {
    let conversion = import(TENANTS, VALUES, &[]).unwrap();
    let names: Vec<_> =
        conversion.tenants.iter().map(|tenant| tenant.metadata.name.clone().unwrap()).collect();
    assert_eq!(names, ["t2026", "t9350-support"]);
    let spec = &conversion.tenants[0].spec;
    assert_eq!(spec.tenant_id, "2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d");
    assert_eq!((spec.local_region.as_str(), spec.numbers.default_region.as_str()), ("westus2", "US"));
    let volume = spec.regions[0].storage.volume.as_ref().unwrap();
    assert_eq!(volume.existing_claim_ref.as_ref().unwrap().name, "voice-voicemail-pvc");
    let scaling = spec.autoscaling.as_ref().unwrap();
    assert_eq!((scaling.min_replicas, scaling.max_replicas), (1, 5));
}

#[test]
fn what_is_left_behind_is_named() {
    let notes = import(TENANTS, VALUES, &[]).unwrap().notes.join("\n");
    for part in [
        "smtp",
        "http://gws/auth/v3",
        "Resources",
        "context.create, context.envs.port",
        "image.repository",
        "not converted",
    ] {
        assert!(notes.contains(part), "{part:?} in {notes}");
    }
}

#[test]
fn an_object_store_needs_what_the_values_do_not_say() {
    let blob = VALUES.replace("FileSystem", "BlobStorage");
    let error = import(TENANTS, &blob, &[]).unwrap_err().to_string();
    assert!(error.contains("--azure-account"), "{error}");
    let flags = ["--azure-account", "acmevoice", "--azure-container", "voicemail"];
    let conversion = import(TENANTS, &blob, &flags).unwrap();
    let azure = conversion.tenants[0].spec.regions[0].storage.azure_blob.clone().unwrap();
    assert_eq!((azure.account.as_str(), azure.container.as_str()), ("acmevoice", "voicemail"));
    assert_eq!(azure.credentials.secret_ref.unwrap().name, "voicemail-secrets");
    let other = VALUES.replace("FileSystem", "Tape");
    assert!(import(TENANTS, &other, &[]).unwrap_err().to_string().contains("FileSystem, BlobStorage or S3"));
}

#[test]
fn tenants_that_can_not_be_told_apart_or_named_are_refused_by_name() {
    let uuid = r#""tenant_uuid": "a-1""#;
    for (list, part) in [
        (format!(r#"[{{"name": "a_b", {uuid}}}, {{"name": "A-B", {uuid}}}]"#), "same name \"a-b\""),
        (format!(r#"[{{"name": "__", {uuid}}}]"#), "rename it"),
        (r#"[{"name": "a", "tenant_uuid": "../x"}]"#.into(), "tenant_uuid"),
        (r#"{"name": "a"}"#.into(), "JSON array"),
    ] {
        let error = import(&list, VALUES, &[]).unwrap_err().to_string();
        assert!(error.contains(part), "{part:?} in {error}");
    }
}

#[test]
fn the_output_is_yaml_that_kubectl_reads_headed_by_the_notes() {
    let text = render(&import(TENANTS, VALUES, &[]).unwrap()).unwrap();
    assert!(text.starts_with("# "), "{text}");
    let documents: Vec<&str> = text.split("---\n").skip(1).collect();
    assert_eq!(documents.len(), 2);
    for document in documents {
        let tenant: VoicemailTenant = serde_yaml::from_str(document).unwrap();
        assert_eq!(tenant.metadata.namespace.as_deref(), Some("voice"));
        assert!(!document.contains("status"), "{document}");
    }
}

/// Values with the keys as the vendor published them.
const PUBLISHED: &str = "
deployment: {type: deployment, replicaCount: 1, maxReplicas: '5', postfix: , namespace: calls, strategy: RollingUpdate}
image: {registry: registry.example, pullPolicy: Always, imagePullSecrets: pullsecret}
context: {envs: {storageInterface: BlobStorage, currentRegion: westus2, redis: {port: 6379}}}
secrets:
  consulACL: {general: {enabled: true, secretName: /x/y}}
  blobStorage:
    general: {mode: 'k8s | csi', enabled: true}
    mounts: [{name: voicemail-secrets, mountPath: /x}]
    volumes: [{name: other, emptyDir: {}}, {name: voicemail-secrets, secret: {secretName: voicemail-secrets}}]
securityContext: {runAsUser: 500}
podSecurityContext: {}
";

#[test]
fn values_are_found_under_every_name_that_the_vendor_gave_them() {
    let flags = ["--azure-account", "acmevoice", "--azure-container", "voicemail"];
    let conversion = import(TENANTS, PUBLISHED, &flags).unwrap();
    let tenant = &conversion.tenants[0];
    let spec = &tenant.spec;
    let azure = spec.regions[0].storage.azure_blob.clone().unwrap();
    assert_eq!(azure.credentials.secret_ref.unwrap().name, "voicemail-secrets");
    let scaling = spec.autoscaling.as_ref().unwrap();
    assert_eq!((scaling.min_replicas, scaling.max_replicas), (1, 5));
    assert_eq!(spec.image_pull_secrets[0].name, "pullsecret");
    assert_eq!(tenant.metadata.namespace.as_deref(), Some("calls"));
    let given = import(TENANTS, PUBLISHED, &[&flags[..], &["--namespace", "voice"]].concat()).unwrap();
    assert_eq!(given.tenants[0].metadata.namespace.as_deref(), Some("voice"));
}

#[test]
fn every_key_of_the_values_is_carried_over_or_named() {
    let flags = ["--azure-account", "acmevoice", "--azure-container", "voicemail"];
    let notes = import(TENANTS, PUBLISHED, &flags).unwrap().notes;
    let left = notes.iter().find_map(|note| note.strip_prefix("Not carried over: ")).unwrap();
    let left: Vec<&str> = left.trim_end_matches('.').split(", ").collect();
    assert_eq!(
        left,
        [
            "context.envs.redis.port",
            "deployment.postfix",
            "deployment.strategy",
            "deployment.type",
            "image.registry",
            "podSecurityContext",
            "secrets.blobStorage.general.enabled",
            "secrets.blobStorage.mounts[].mountPath",
            "secrets.blobStorage.mounts[].name",
            "secrets.blobStorage.volumes[].emptyDir",
            "secrets.blobStorage.volumes[].name",
            "secrets.consulACL.general.enabled",
            "secrets.consulACL.general.secretName",
            "securityContext.runAsUser",
        ]
    );
}

#[test]
fn a_value_of_another_form_is_told_with_its_key() {
    let region: &[&str] = &["--region", "eu"];
    for (bad, flags, key) in [
        ("deployment: {replicaCount: many}", region, "deployment.replicaCount"),
        ("image: {imagePullSecrets: [{key: a}]}", region, "image.imagePullSecrets"),
        ("context: {envs: {currentRegion: [a]}}", &[], "context.envs.currentRegion"),
        ("[1, 2]", region, "the values of the vendor's chart"),
    ] {
        let error = import(TENANTS, bad, flags).unwrap_err().to_string();
        assert!(error.contains(key), "{bad}: {error}");
    }
}
