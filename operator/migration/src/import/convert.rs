//! From the vendor's tenants and values to manifests, and to notes about what was left behind. Pure.

use super::vendor::{self, Tenant, Values};
use super::{Arguments, ImportError};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use voicemail_resources::VoicemailTenant;

const LONGEST_NAME: usize = 40;
const FILE_SYSTEM: &str = "FileSystem";
const NAMESPACE: &str = "voice";

/// The result of a conversion.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// One for each tenant.
    pub tenants: Vec<VoicemailTenant>,
    /// Remarks for the person who converts, a sentence each.
    pub notes: Vec<String>,
}

/// Converts all tenants.
///
/// # Errors
/// [`ImportError`].
pub fn convert(
    tenants: &[Tenant],
    values: &Values,
    arguments: &Arguments,
) -> Result<Conversion, ImportError> {
    let common = convert_common(values, arguments)?;
    let namespace = values.given_or_text(arguments.namespace.as_ref(), vendor::NAMESPACE)?;
    let namespace = namespace.unwrap_or_else(|| NAMESPACE.into());
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut converted = Vec::new();
    for tenant in tenants {
        let name = convert_name(&tenant.name)?;
        if let Some(other) = names.insert(name.clone(), tenant.name.clone()) {
            let fault = format!("it gets the same name {name:?} as tenant {other:?}: rename one of them");
            return Err(ImportError::Tenant { name: tenant.name.clone(), fault });
        }
        converted.push(convert_tenant(tenant, &name, &common, &namespace)?);
    }
    Ok(Conversion { tenants: converted, notes: collect_notes(values)? })
}

/// The part of the spec that all tenants share.
fn convert_common(values: &Values, arguments: &Arguments) -> Result<Value, ImportError> {
    let region = values.given_or_text(arguments.region.as_ref(), vendor::REGION)?;
    let region = region.ok_or(ImportError::Missing { what: "a region", flag: "--region" })?;
    let storage = convert_storage(values, arguments)?;
    let mut spec = json!({
        "localRegion": region,
        "primaryRegion": region,
        "regions": [{"name": region, "storage": storage}],
        "numbers": {"defaultRegion": arguments.number_region},
    });
    if arguments.values.is_some() && !values.is_on(vendor::POD_MONITOR) {
        spec["monitoring"] = json!({"mode": "Disabled"});
    }
    let (replicas, most) = (values.number(vendor::REPLICAS)?, values.number(vendor::MOST_REPLICAS)?);
    if let Some(replicas) = replicas {
        spec["replicas"] = json!(replicas);
    }
    if let (Some(min), Some(max)) = (replicas, most)
        && max > min
    {
        spec["autoscaling"] = json!({"minReplicas": min, "maxReplicas": max});
    }
    let pull_secrets = values.names(vendor::PULL_SECRETS)?;
    if !pull_secrets.is_empty() {
        let named = |name: &String| json!({"name": name});
        spec["imagePullSecrets"] = pull_secrets.iter().map(named).collect();
    }
    if let Some(policy) = values.text(vendor::PULL_POLICY)? {
        spec["imagePullPolicy"] = json!(policy);
    }
    Ok(spec)
}

fn convert_storage(values: &Values, arguments: &Arguments) -> Result<Value, ImportError> {
    let kind = values.text(vendor::STORAGE)?.unwrap_or_else(|| FILE_SYSTEM.into());
    let missing = |what, flag| ImportError::Missing { what, flag };
    let credentials = || {
        let name = values.text(vendor::STORE_SECRET)?;
        let name = name.ok_or(missing("the Secret of the store", "secrets.blobStorage in the values"))?;
        Ok::<_, ImportError>(json!({"secretRef": {"name": name}}))
    };
    match kind.to_ascii_lowercase().as_str() {
        "filesystem" => {
            let claim = values.text(vendor::CLAIM)?;
            let claim = claim.unwrap_or_else(|| "voice-voicemail-pvc".into());
            Ok(json!({"volume": {"existingClaimRef": {"name": claim}}}))
        }
        "blobstorage" => {
            let account = arguments.azure_account.clone();
            let container = arguments.azure_container.clone();
            Ok(json!({"azureBlob": {
                "account": account.ok_or(missing("the storage account", "--azure-account"))?,
                "container": container.ok_or(missing("the container", "--azure-container"))?,
                "credentials": credentials()?,
            }}))
        }
        "s3" => {
            let (bucket, region) = (arguments.s3_bucket.clone(), arguments.s3_region.clone());
            Ok(json!({"s3": {
                "bucket": bucket.ok_or(missing("the bucket", "--s3-bucket"))?,
                "region": region.ok_or(missing("the bucket's region", "--s3-region"))?,
                "credentials": credentials()?,
            }}))
        }
        other => Err(ImportError::Malformed {
            file: "context.envs.storageInterface".into(),
            expected: "FileSystem, BlobStorage or S3",
            fault: format!("it is {other:?}"),
        }),
    }
}

fn convert_tenant(
    tenant: &Tenant,
    name: &str,
    common: &Value,
    namespace: &str,
) -> Result<VoicemailTenant, ImportError> {
    let mut spec = common.clone();
    spec["tenantID"] = json!(tenant.tenant_uuid);
    let manifest = json!({
        "apiVersion": "voicemail.dev/v1beta1",
        "kind": "VoicemailTenant",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    });
    let fault = |fault: String| ImportError::Tenant { name: tenant.name.clone(), fault };
    if !is_tenant_id(&tenant.tenant_uuid) {
        return Err(fault("tenant_uuid: write 1 to 64 letters, digits and dashes".into()));
    }
    serde_json::from_value(manifest).map_err(|error| fault(error.to_string()))
}

fn is_tenant_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A name that Services can be called after: small letters, digits and dashes, beginning with a letter.
fn convert_name(name: &str) -> Result<String, ImportError> {
    let small = name.trim().to_ascii_lowercase();
    let plain: String = small.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let plain = plain.trim_matches('-');
    let named =
        if plain.starts_with(|c: char| c.is_ascii_digit()) { format!("t{plain}") } else { plain.into() };
    if named.is_empty() || named.len() > LONGEST_NAME {
        let fault =
            format!("its name must have 1 to {LONGEST_NAME} letters and digits: rename it in the list");
        return Err(ImportError::Tenant { name: name.to_owned(), fault });
    }
    Ok(named)
}

fn collect_notes(values: &Values) -> Result<Vec<String>, ImportError> {
    let kind = values.text(vendor::STORAGE)?.unwrap_or_else(|| FILE_SYSTEM.into());
    let left = values.left_over().join(", ");
    let by_csi = values.find(vendor::STORE_CSI).is_some()
        || values.text(vendor::STORE_SECRET_MODE)?.as_deref() == Some("csi");
    let when = |holds: bool, note: String| holds.then_some(note);
    let notes = [
        Some("Messages and mailboxes of the vendor's service are not converted: its storage has another form.".into()),
        when(
            kind.eq_ignore_ascii_case(FILE_SYSTEM),
            "All tenants share the claim, each in a folder of its own. The claim must be ReadWriteMany.".into(),
        ),
        when(
            by_csi,
            "The store's credentials came by a CSI mount: name the vault under credentials.keyVault instead of a Secret."
                .into(),
        ),
        when(
            values.find(vendor::STORE_SECRET).is_some(),
            "The store's Secret needs the keys that examples/azure-tenant.yaml and examples/s3-tenant.yaml name, and the label \
             voicemail.dev/tenant-usable where a policy asks for it."
                .into(),
        ),
        values.text(vendor::GATEWAY)?.map(|url| {
            format!("Tokens of {url} are accepted once spec.auth names it as an issuer or for introspection.")
        }),
        when(values.is_on(vendor::SMTP), "E-mail (smtp) is not carried over.".into()),
        when(
            values.find(vendor::RESOURCES).is_some(),
            "Resources are not carried over: the defaults fit this service.".into(),
        ),
        when(!left.is_empty(), format!("Not carried over: {left}.")),
    ];
    Ok(notes.into_iter().flatten().collect())
}
