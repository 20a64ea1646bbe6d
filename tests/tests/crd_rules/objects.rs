//! Valid objects of all kinds in which, together, every field is present, and ways to edit them.

use serde_json::{Value, json};

use crate::policy_tables::full_policy;
use crate::telephony_tables::full_telephony;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Tenant,
    Request,
    Policy,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tenant => "VoicemailTenant",
            Self::Request => "GdprRequest",
            Self::Policy => "VoicemailPolicy",
        }
    }

    pub(crate) fn schema(self) -> Value {
        let found = voicemail_resources::crds().map(|(_, crd)| crd);
        let crd = found.into_iter().find(|crd| crd.spec.names.kind == self.name()).unwrap();
        let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        serde_json::to_value(schema).unwrap()
    }

    /// Valid objects in which, together, every field is present.
    pub(crate) fn bases(self) -> Vec<Value> {
        match self {
            Self::Tenant => vec![
                full_tenant(),
                edited(
                    &full_tenant(),
                    &[(&claim("/volumeName"), Value::Null), (&claim("/selector"), selector("disk"))],
                ),
                edited(&full_tenant(), &[(VOLUME, json!({"existingClaimRef": {"name": "messages"}}))]),
                edited(
                    &full_tenant(),
                    &[("/spec/telephony/dialogue/prompts", json!({"existingClaimRef": {"name": "prompts"}}))],
                ),
                edited(
                    &full_tenant(),
                    &[
                        (
                            "/spec/networkPolicy",
                            network_policy(
                                json!({"ipBlock": {"cidr": "10.20.0.0/16", "except": ["10.20.1.0/24"]}}),
                            ),
                        ),
                        (
                            "/spec/telephony/mediaFrom",
                            json!([{"ipBlock": {"cidr": "10.20.0.0/16", "except": ["10.20.1.0/24"]}}]),
                        ),
                    ],
                ),
                on(azure(json!({"secretRef": {"name": "azure"}}))),
                on(azure(vault())),
                edited(
                    &on(azure(vault())),
                    &[(
                        "/spec/regions/0/storage/azureBlob/encryption",
                        json!({"customerKeySecretRef": {"name": "key"}}),
                    )],
                ),
                on(azure(identity(CLIENT))),
                on(s3(json!({"secretRef": {"name": "s3"}}))),
                on(s3(role("voicemail"))),
            ],
            Self::Request => vec![full_request(), full_undo(), full_decided()],
            Self::Policy => vec![full_policy()],
        }
    }
}

pub(crate) const STORAGE: &str = "/spec/regions/0/storage";
pub(crate) const CLIENT: &str = "22222222-2222-2222-2222-222222222222";
pub(crate) const VOLUME: &str = "/spec/regions/0/storage/volume";

pub(crate) fn claim(field: &str) -> String {
    format!("{VOLUME}/claim{field}")
}

/// The full tenant with its first region on that storage.
pub(crate) fn on(storage: Value) -> Value {
    edited(&full_tenant(), &[(STORAGE, storage)])
}

pub(crate) fn azure(credentials: Value) -> Value {
    json!({"azureBlob": {"account": "acmevoice", "container": "voicemail", "prefix": "calls/acme",
                         "endpoint": "https://acme.example", "credentials": credentials,
                         "encryption": {"scope": "tenant-a"}, "restoreArchived": {"tier": "Hot"}}})
}

pub(crate) fn vault() -> Value {
    json!({"keyVault": {"vaultName": "acme-vault", "tenantID": CLIENT, "clientID": CLIENT, "secretName": "key",
                        "entry": "AccountKey", "cloud": "AzurePublicCloud"}})
}

pub(crate) fn identity(client: &str) -> Value {
    json!({"workloadIdentity": {"clientID": client, "tenantID": CLIENT}})
}

pub(crate) fn s3(credentials: Value) -> Value {
    json!({"s3": {"bucket": "contact-centre", "prefix": "voicemail/acme", "region": "eu-west-1",
                  "endpoint": "http://minio:9000", "etagQuoting": "RFC", "credentials": credentials,
                  "stsEndpoint": "https://sts.example", "encryption": {"algorithm": "KMS", "kmsKeyID": "key-1"},
                  "restoreArchived": {"days": 7}}})
}

pub(crate) fn role(name: &str) -> Value {
    json!({"webIdentity": {"roleARN": format!("arn:aws:iam::123456789012:role/{name}")}})
}

pub(crate) fn full_tenant() -> Value {
    let amounts = json!({"cpu": "100m", "memory": "64Mi"});
    json!({
        "apiVersion": "voicemail.dev/v1beta1", "kind": "VoicemailTenant",
        "metadata": {"name": "acme"},
        "spec": {
            "tenantID": "acme-1", "localRegion": "eu", "primaryRegion": "eu", "replicas": 2,
            "image": "localhost/voicemail:none", "imagePullPolicy": "IfNotPresent",
            "imagePullSecrets": [{"name": "registry"}],
            "regions": [{"name": "eu", "storage": {"volume": {"claim": {
                "storageClassName": "nowhere", "size": "20Gi", "volumeName": "disk-1",
                "labels": {"servicename": "voice-voicemail"}, "annotations": {"a": "b"},
            }, "keepFree": {"size": "64Mi", "percent": 5}}}}],
            "keys": {"secretRef": {"name": "keys"}}, "tls": {"secretRef": {"name": "tls"}},
            "resources": {"requests": amounts, "limits": amounts}, "uploadBuffer": "64Mi", "storeCalls": 128,
            "inheritedMetadata": metadata(),
            "podTemplate": full_pod_template(),
            "service": {"type": "LoadBalancer", "annotations": {"a": "b"}, "labels": {"a": "b"},
                        "ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"], "externalTrafficPolicy": "Local",
                        "loadBalancerClass": "example.com/internal", "loadBalancerSourceRanges": ["192.0.2.0/24"]},
            "proxy": {"httpProxy": "http://proxy.example:3128", "httpsProxy": "http://proxy.example:3128",
                      "noProxy": [".example.com", "10.0.0.0/8"]},
            "trustedCARef": {"kind": "ConfigMap", "name": "company-ca"},
            "classesOfService": [{"name": "standard", "maxMessages": 10, "maxSeconds": 180,
                                  "minSeconds": 0, "quotaSeconds": 3600, "retentionDays": 30, "trashHours": 24, "email": "Note", "emailDigestMinutes": 60}],
            "numbers": {"defaultRegion": "GB", "callerTag": "E164", "withheld": ["nobody"],
                        "prefixes": [{"prefix": "9", "replaceWith": "+44", "digits": 12}]},
            "auth": {
                "issuers": [{"issuer": "https://id.example", "audience": "voice", "jwksURI": "https://id.example/k",
                             "userClaim": "sub", "userPrefix": "corp#", "rolesClaim": "roles", "roleMap": {"listener": "Agent"},
                             "algorithms": ["ES256"], "clockSkew": "10s", "caRef": {"kind": "ConfigMap", "name": "ca"}},
                            {"issuer": "https://id.example", "audience": "pages", "roleMap": {"listener": "Agent"}}],
                "introspection": {"endpoint": "https://id.example/i", "secretRef": {"name": "client"},
                                  "caRef": {"kind": "Secret", "name": "ca"}, "audience": "voice", "userClaim": "sub", "userPrefix": "token#",
                                  "rolesClaim": "scope", "roleMap": {"listener": "Agent"}, "cache": "60s"},
                "basic": {"secretRef": {"name": "people"}},
                "serviceAccounts": [{"namespace": "voice", "name": "alice", "roles": ["Agent"], "user": "alice"}],
                "people": [{"name": "p-1", "identities": [{"authority": "basic", "name": "anna"}]}],
                "longestTokenLife": "24h",
            },
            "autoscaling": {"minReplicas": 2, "maxReplicas": 6, "targetCPUUtilizationPercentage": 70},
            "networkPolicy": network_policy(json!({
                "namespaceSelector": selector("team"), "podSelector": selector("app"),
            })),
            "monitoring": {"mode": "Enabled", "labels": {"release": "prometheus"}},
            "telemetry": {"otlp": {"endpoint": "https://collector.monitoring:4318", "samplePercent": 10,
                                   "caRef": {"kind": "ConfigMap", "name": "collector-ca"}}},
            "reception": {"optOut": "+442079460100", "language": "en-GB", "timeZone": "Europe/London"},
            "directory": "Open",
            "cors": {"allowedOrigins": ["https://desk.example"]},
            "clientLimits": {"connections": 4096, "connectionsPerAddress": 100, "requestsPerAddress": 1000,
                             "requestsPerCaller": 500, "requestsPerTelephony": 2_000, "refusalsPerAddress": 60,
                             "streamsPerUser": 32,
                             "sharedAddresses": ["10.0.0.1", "10.1.0.0/16"]},
            "audit": {"retentionDays": 180},
            "mwi": {"streamLifetime": "1h", "reconcileEvery": "30s", "webhooks": [{
                "name": "pbx", "url": "https://pbx.example/mwi", "secretRef": {"name": "pbx"},
                "caRef": {"kind": "ConfigMap", "name": "ca"}, "allowedPrivateRanges": ["10.20.0.0/16"],
            }]},
            "email": {"from": "Voicemail <voicemail@example.com>", "replyTo": "help@example.com", "templatesRef": {"name": "words"}, "smtp": {
                "host": "mail.example.com", "port": 587, "tls": "StartTLS", "secretRef": {"name": "mail"},
                "caRef": {"kind": "ConfigMap", "name": "ca"},
            }},
            "web": {"host": "voicemail.example:8443", "passwords": "Allowed", "embedIn": ["https://desk.example"], "session": {"lifetime": "12h", "idle": "30m", "epoch": 1}, "freshLogin": "15m", "maskCallers": "Numbers", "login": [{
                "issuer": "https://id.example", "label": "Acme", "secretRef": {"name": "pages"}, "scopes": ["openid"],
                "resource": "urn:voicemail", "identityFrom": "IDToken",
            }]},
            "gdpr": {"undoWindow": "24h", "exportLifetime": "168h", "backupRetentionDays": 35,
                     "approval": {"required": "LargeMatches", "largeMatches": 100, "exports": "Always"}, "regionDown": "MarkAndRetry"},
            "deletionPolicy": "Retain", "telephony": full_telephony(),
        },
        "status": {
            "conditions": [condition()], "storeID": "s", "image": "localhost/voicemail:none",
            "lastHandledReconcileAt": "1", "replicas": 1, "readyReplicas": 1, "selector": "a=b",
            "telephony": {"replicas": 2, "readyReplicas": 2},
            "endpoints": [{"name": "api", "url": "https://acme-voicemail.voice.svc:8081", "audience": "acme-1"}],
            "caRef": {"kind": "ConfigMap", "name": "acme-voicemail-ca"}, "binding": {"name": "acme-voicemail-binding"},
            "regions": [
                {"name": "eu", "storage": "volume", "role": "Primary", "conditions": [reachable("True")]},
                {"name": "us", "storage": "s3", "role": "Audio", "conditions": [reachable("False")]},
            ],
        },
    })
}

fn metadata() -> Value {
    json!({"labels": {"team": "voice"}, "annotations": {"owner": "voice"}})
}

pub(crate) fn full_pod_template() -> Value {
    json!({"metadata": metadata(), "spec": {
        "nodeSelector": {"disk": "fast"}, "priorityClassName": "high", "schedulerName": "default-scheduler",
        "runtimeClassName": "gvisor", "affinity": {"nodeAffinity": {}},
        "tolerations": [{"key": "voice", "operator": "Equal", "value": "only", "effect": "NoSchedule",
                         "tolerationSeconds": 5}],
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        "securityContext": {"supplementalGroups": [7]}, "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["store"]}],
        "dnsConfig": {"searches": ["corp.example"]}, "volumes": [{"name": "extra", "emptyDir": {}}],
        "initContainers": [{"name": "first", "image": "first"}], "containers": [{"name": "envoy", "image": "envoy"}],
    }})
}

fn reachable(status: &str) -> Value {
    json!({"type": "Reachable", "status": status, "reason": "StoreAnswers", "message": "m", "observedGeneration": 1,
           "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

fn network_policy(peer: Value) -> Value {
    json!({"api": {"from": [peer]}, "metrics": {"from": [peer]}})
}

pub(crate) fn selector(key: &str) -> Value {
    json!({"matchLabels": {key: "a"}, "matchExpressions": [{"key": key, "operator": "In", "values": ["a"]}]})
}

pub(crate) fn condition() -> Value {
    json!({"type": "Ready", "status": "True", "reason": "Available", "message": "all replicas serve",
           "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

pub(crate) fn full_request() -> Value {
    json!({
        "apiVersion": "voicemail.dev/v1beta1", "kind": "GdprRequest",
        "metadata": {"name": "case-1"},
        "spec": {"tenantRef": {"name": "acme"}, "operation": "ForgetMe", "caseID": "1", "undoWindow": "24h", "dryRun": false,
                 "consumers": {"secretRef": {"name": "case-1"}, "deletion": "OnFinish"}, "requestedBy": "ticket-1",
                 "receivedAt": "2026-01-01T00:00:00Z", "ttlSecondsAfterFinished": 7776000, "requireApproval": true,
                 "verification": {"method": "callback", "verifier": "anna", "at": "2026-01-01T00:00:00Z"}},
        "status": {"receipt": "/r", "regions": [
            {"name": "eu", "role": "Primary", "matched": 3, "erased": 0, "blocked": false, "attempts": 0,
             "lastError": "RegionDown", "erasedAt": "2026-01-02T00:00:00Z"}],
            "phase": "Marked", "conditions": [condition()], "run": "r", "matched": 3, "erased": 2,
                   "subjectDigest": "0123456789abcdef", "consumersUID": "u",
                   "dueAt": "2026-02-01T00:00:00Z", "receivedAt": "2026-01-01T00:00:00Z",
                   "approvedAt": "2026-01-01T01:00:00Z", "markedAt": "2026-01-01T02:00:00Z",
                   "undoDeadline": "2026-01-02T02:00:00Z", "erasedAt": "2026-01-02T03:00:00Z",
                   "finishedAt": "2026-01-02T04:00:00Z", "expiresAt": "2026-01-09T00:00:00Z",
                   "backupsClearAfter": "2026-03-01T00:00:00Z", "consumersDeletedAt": "2026-01-02T05:00:00Z"},
    })
}

/// With everything that people decide, and messages by name.
pub(crate) fn full_decided() -> Value {
    edited(
        &full_request(),
        &[
            ("/spec/consumers", Value::Null),
            ("/spec/messages", json!([{"mailbox": "1001", "id": "m"}])),
            ("/spec/approval", json!({"decision": "Deny", "by": "b", "ground": "Other", "reason": "r"})),
            ("/spec/extension", json!({"months": 1, "reason": "r", "by": "b"})),
            ("/spec/cancellation", json!({"reason": "r", "by": "b"})),
        ],
    )
}

pub(crate) fn full_undo() -> Value {
    edited(
        &full_request(),
        &[
            ("/spec/operation", json!("UndoForgetMe")),
            ("/spec/consumers", Value::Null),
            ("/spec/undoWindow", Value::Null),
            ("/spec/requireApproval", Value::Null),
            ("/spec/run", json!("run-1")),
        ],
    )
}

/// The object with values replaced or added; null removes.
pub(crate) fn edited(object: &Value, edits: &[(&str, Value)]) -> Value {
    let mut object = object.clone();
    for (pointer, value) in edits {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
        match (parent, value) {
            (Value::Object(fields), Value::Null) => drop(fields.remove(key)),
            (Value::Object(fields), value) => drop(fields.insert(key.to_owned(), value.clone())),
            (Value::Array(items), value) if key == "-" => items.push(value.clone()),
            (Value::Array(items), value) => items[key.parse::<usize>().unwrap()] = value.clone(),
            (other, _) => panic!("{pointer}: {other}"),
        }
    }
    object
}

pub(crate) type Edits = Vec<(String, Value)>;

pub(crate) fn apply(object: &Value, edits: &Edits) -> Value {
    let edits: Vec<(&str, Value)> = edits.iter().map(|(p, value)| (p.as_str(), value.clone())).collect();
    edited(object, &edits)
}
