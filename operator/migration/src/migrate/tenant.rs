//! A tenant's part of the conversion. Pure.

use super::convert::{
    Unconvertible, days, inner, items, mend_conditions, rename, reword, role, secret_ref, wait, word,
};
use serde_json::{Map, Value, json};

type Fields = Map<String, Value>;
const ROLES: [(&str, &str); 4] =
    [("telephony", "Telephony"), ("agent", "Agent"), ("admin", "Admin"), ("privacy", "Privacy")];

/// Converts it.
///
/// # Errors
/// [`Unconvertible`].
pub(super) fn convert(
    object: &mut Value,
    notes: &mut Vec<String>,
    now: jiff::Timestamp,
) -> Result<(), Unconvertible> {
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        convert_places(spec);
        convert_pods(spec);
        convert_network(spec);
        convert_auth(spec)?;
        convert_rules(spec, notes)?;
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        convert_status(status, now);
    }
    Ok(())
}

fn convert_places(spec: &mut Fields) {
    rename(spec, "tenantId", "tenantID");
    rename(spec, "region", "localRegion");
    let mut primary = None;
    for region in items(spec, "regions") {
        if region.remove("master") == Some(json!(true)) {
            primary = region.get("name").cloned();
        }
        if let Some(storage) = inner(region, "storage") {
            convert_storage(storage);
        }
    }
    spec.extend(primary.map(|name| ("primaryRegion".to_owned(), name)));
    for field in ["keys", "tls"] {
        inner(spec, field).map(secret_ref);
    }
}

fn convert_storage(storage: &mut Fields) {
    if let Some(volume) = inner(storage, "volume") {
        if let Some(name) = volume.remove("existingClaim") {
            volume.insert("existingClaimRef".into(), json!({ "name": name }));
        }
        inner(volume, "claim").map(|claim| claim.remove("volumeMode"));
        if let Some(free) = inner(volume, "keepFree")
            && let Some(count) = free.remove("mebibytes")
        {
            free.insert("size".into(), json!(format!("{count}Mi")));
        }
    }
    if let Some(credentials) = inner(storage, "azureBlob").and_then(|azure| inner(azure, "credentials")) {
        secret_ref(credentials);
        for kind in ["keyVault", "workloadIdentity"] {
            let Some(identity) = inner(credentials, kind) else { continue };
            rename(identity, "tenantId", "tenantID");
            rename(identity, "clientId", "clientID");
            reword(identity, "entry", &[("accountKey", "AccountKey"), ("sasToken", "SASToken")]);
        }
    }
    if let Some(s3) = inner(storage, "s3") {
        reword(s3, "etagQuoting", &[("rfc", "RFC"), ("bare", "Bare")]);
        if let Some(credentials) = inner(s3, "credentials") {
            secret_ref(credentials);
            inner(credentials, "webIdentity").into_iter().for_each(|role| rename(role, "roleArn", "roleARN"));
        }
    }
}

fn convert_pods(spec: &mut Fields) {
    if let Some(scaling) = inner(spec, "autoscaling") {
        rename(scaling, "min", "minReplicas");
        rename(scaling, "max", "maxReplicas");
        rename(scaling, "targetCpuPercent", "targetCPUUtilizationPercentage");
    }
    if let Some(count) = inner(spec, "resources").and_then(|resources| resources.remove("uploadBufferMiB")) {
        spec.insert("uploadBuffer".into(), json!(format!("{count}Mi")));
    }
    if let Some(mut placement) = spec.remove("scheduling") {
        for toleration in
            placement.as_object_mut().into_iter().flat_map(|fields| items(fields, "tolerations"))
        {
            let operator = if toleration.contains_key("value") { "Equal" } else { "Exists" };
            toleration.insert("operator".into(), json!(operator));
        }
        spec.insert("podTemplate".into(), json!({ "spec": placement }));
    }
    if let Some(monitoring) = inner(spec, "monitoring")
        && let Some(enabled) = monitoring.remove("enabled")
    {
        let mode = if enabled == true { "Enabled" } else { "Disabled" };
        monitoring.insert("mode".into(), json!(mode));
    }
}

fn convert_network(spec: &mut Fields) {
    rename(spec, "browser", "cors");
    inner(spec, "cors").into_iter().for_each(|cors| rename(cors, "origins", "allowedOrigins"));
    rename(spec, "limits", "clientLimits");
    let Some(Value::Object(access)) = spec.remove("networkAccess") else { return };
    let mut policy = Map::new();
    for (former, present) in [("apiFrom", "api"), ("metricsFrom", "metrics")] {
        let Some(peers) = access.get(former).and_then(Value::as_array) else { continue };
        let from: Vec<Value> = peers.iter().map(convert_peer).collect();
        policy.insert(present.into(), json!({ "from": from }));
    }
    spec.insert("networkPolicy".into(), Value::Object(policy));
}

fn convert_peer(peer: &Value) -> Value {
    let mut present = Map::new();
    if let Some(cidr) = peer.get("cidr") {
        present.insert("ipBlock".into(), json!({ "cidr": cidr }));
    }
    if let Some(namespace) = peer.get("namespace") {
        let labels = json!({ "kubernetes.io/metadata.name": namespace });
        present.insert("namespaceSelector".into(), json!({ "matchLabels": labels }));
    }
    if let Some(labels) =
        peer.get("podLabels").filter(|labels| labels.as_object().is_some_and(|map| !map.is_empty()))
    {
        present.insert("podSelector".into(), json!({ "matchLabels": labels }));
    }
    Value::Object(present)
}

fn convert_auth(spec: &mut Fields) -> Result<(), Unconvertible> {
    if let Some(otlp) = inner(spec, "telemetry").and_then(|telemetry| inner(telemetry, "otlp")) {
        ca_ref(otlp);
    }
    let Some(auth) = inner(spec, "auth") else { return Ok(()) };
    for issuer in items(auth, "issuers") {
        rename(issuer, "jwksUri", "jwksURI");
        ca_ref(issuer);
        role_map(issuer);
        wait(issuer, "clockSkew", "spec.auth.issuers")?;
    }
    for account in items(auth, "serviceAccounts") {
        let roles = account.get_mut("roles").and_then(Value::as_array_mut).into_iter().flatten();
        roles.for_each(|role| *role = word(role, &ROLES));
    }
    if let Some(introspection) = inner(auth, "introspection") {
        secret_ref(introspection);
        ca_ref(introspection);
        role_map(introspection);
        wait(introspection, "cache", "spec.auth.introspection")?;
    }
    inner(auth, "basic").map(secret_ref);
    Ok(())
}

fn ca_ref(fields: &mut Fields) {
    if let Some(mut ca) = fields.remove("ca") {
        let name = ca["secret"]["name"].take();
        fields.insert("caRef".into(), json!({ "kind": "Secret", "name": name }));
    }
}

fn role_map(fields: &mut Fields) {
    let roles = inner(fields, "roleMap").into_iter().flat_map(|map| map.values_mut());
    roles.for_each(|role| *role = word(role, &ROLES));
}

fn convert_rules(spec: &mut Fields, notes: &mut Vec<String>) -> Result<(), Unconvertible> {
    if let Some(withheld) =
        inner(spec, "numbers").and_then(|numbers| numbers.get_mut("withheld")).and_then(Value::as_array_mut)
    {
        let mut seen = Vec::new();
        withheld.retain(|word| {
            !seen.contains(word) && {
                seen.push(word.clone());
                true
            }
        });
    }
    if let Some(audit) = inner(spec, "audit") {
        days(audit, ("retention", "retentionDays"), "spec.audit", notes)?;
    }
    let Some(gdpr) = inner(spec, "gdpr") else { return Ok(()) };
    wait(gdpr, "undoWindow", "spec.gdpr")?;
    wait(gdpr, "exportLifetime", "spec.gdpr")?;
    days(gdpr, ("backupRetention", "backupRetentionDays"), "spec.gdpr", notes)?;
    reword(gdpr, "regionDown", &[("refuse", "Refuse"), ("markAndRetry", "MarkAndRetry")]);
    if let Some(approval) = inner(gdpr, "approval") {
        reword(approval, "required", &[("never", "Never"), ("large", "LargeMatches"), ("always", "Always")]);
    }
    Ok(())
}

fn convert_status(status: &mut Fields, now: jiff::Timestamp) {
    rename(status, "storeId", "storeID");
    mend_conditions(status);
    for region in items(status, "regions") {
        role(region);
        let Some(reachable) = region.remove("reachable") else { continue };
        let message = region.remove("message").unwrap_or_else(|| json!(""));
        let (word, reason) =
            if reachable == true { ("True", "StoreAnswers") } else { ("False", "RegionUnreachable") };
        let since = voicemail_resources::conditions::whole_seconds(now).to_string();
        region.insert(
            "conditions".into(),
            json!([{ "type": "Reachable", "status": word, "reason": reason, "message": message,
                     "lastTransitionTime": since }]),
        );
    }
}
