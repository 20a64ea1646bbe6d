//! The originals of what is converted: in Secrets of the operator's namespace, since they may name what Secrets name, and in
//! a file. They are written once: a second run finds objects that are converted already, and keeps the first run's.

use super::MigrateError;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use voicemail_resources::{MANAGED_BY_LABEL, MANAGER};
use voicemail_runtime::calls::within_deadline;

/// Beginning of the Secrets' names.
const NAME: &str = "voicemail-v1alpha1-originals";
/// A Secret holds 1 MiB.
const MOST_BYTES: usize = 700_000;

/// The texts of the Secrets, each a list of objects.
fn pack(objects: &[Value]) -> Vec<String> {
    let (mut packs, mut pack): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut size = 0;
    for text in objects.iter().map(Value::to_string) {
        if size + text.len() > MOST_BYTES && !pack.is_empty() {
            packs.push(format!("[{}]", pack.join(",\n")));
            (pack, size) = (Vec::new(), 0);
        }
        size += text.len();
        pack.push(text);
    }
    if !pack.is_empty() {
        packs.push(format!("[{}]", pack.join(",\n")));
    }
    packs
}

/// Keeps them; returns the Secrets' names.
///
/// # Errors
/// The file can't be written, or the API server refuses.
pub(super) async fn keep(
    client: &Client,
    namespace: &str,
    file: Option<&PathBuf>,
    objects: &[Value],
) -> Result<Vec<String>, MigrateError> {
    if let Some(path) = file {
        let text = Value::from(objects.to_vec()).to_string();
        std::fs::write(path, text).map_err(|error| MigrateError::File(path.clone(), error))?;
    }
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let mut names = Vec::new();
    // A run that was interrupted has kept its own: nothing is written over.
    let known = within_deadline(
        "list the Secrets with originals",
        api.list_metadata(&kube::api::ListParams::default()),
    )
    .await?;
    let taken = known
        .items
        .iter()
        .filter_map(|secret| secret.metadata.name.as_deref())
        .filter(|name| name.starts_with(NAME))
        .count();
    for (index, text) in pack(objects).into_iter().enumerate() {
        let mut secret = Secret { type_: Some("Opaque".into()), immutable: Some(true), ..Secret::default() };
        let name = format!("{NAME}-{}", taken + index);
        secret.metadata.name = Some(name.clone());
        secret.metadata.labels = Some(BTreeMap::from([(MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned())]));
        secret.data = Some(BTreeMap::from([("objects.json".to_owned(), ByteString(text.into_bytes()))]));
        within_deadline("keep the originals in a Secret", api.create(&PostParams::default(), &secret))
            .await?;
        names.push(name);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_never_holds_more_than_it_can_and_nothing_is_left_out() {
        let objects: Vec<Value> = (0..40).map(|n| json!({ "n": n, "text": "x".repeat(50_000) })).collect();
        let packs = pack(&objects);
        assert!(packs.len() > 2 && packs.iter().all(|pack| pack.len() < 900_000));
        let back: Vec<Value> =
            packs.iter().flat_map(|pack| serde_json::from_str::<Vec<Value>>(pack).unwrap()).collect();
        assert_eq!(back, objects);
    }
}
