//! Where a tenant's cores send recordings, credentials and notices, as their configuration says, and what of that a change moves.
//!
//! ```text
//!  config.yaml as it was ─┐
//!                         ├─▶ field by field, host by host ─▶ one sentence for each that goes elsewhere now
//!  config.yaml as it is ──┘
//! ```
//!
//! Pure. Of a URL only scheme, host and port are told: a path or a query may hold a secret. A configuration that another release wrote and this
//! one can't read has no destinations, so nothing is told of it.

use reqwest::Url;
use std::collections::BTreeMap;
use voicemail_api::config::{StorageConfig, TenantConfig};

/// The word for an endpoint that the configuration leaves to the provider.
const OWN: &str = "the provider's own";

/// A sentence part for each destination that is another one, or new, such as
/// `regions[main].storage.s3.endpoint from https://a.example to https://b.example`.
pub fn list_moved(before: &str, after: &str) -> Vec<String> {
    let (Ok(before), Ok(after)) = (TenantConfig::parse(before), TenantConfig::parse(after)) else {
        return Vec::new();
    };
    let (before, after) = (list(&before), list(&after));
    let moved = |(field, now): (&String, &String)| match before.get(field) {
        Some(was) if was == now => None,
        Some(was) => Some(format!("{field} from {was} to {now}")),
        None => Some(format!("{field} to {now}")),
    };
    after.iter().filter_map(moved).collect()
}

/// Destinations by the field that names them.
fn list(config: &TenantConfig) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for region in &config.regions {
        let field = |name: &str| format!("regions[{}].storage.{name}", region.name);
        match &region.storage {
            StorageConfig::Volume { .. } => {}
            StorageConfig::AzureBlob(azure) => {
                found.insert(field("azureBlob.endpoint"), origin(azure.endpoint.as_deref()));
            }
            StorageConfig::S3(s3) => {
                found.insert(field("s3.endpoint"), origin(s3.endpoint.as_deref()));
                found.insert(field("s3.stsEndpoint"), origin(s3.sts_endpoint.as_deref()));
            }
        }
    }
    for webhook in &config.mwi.webhooks {
        found.insert(format!("mwi.webhooks[{}].url", webhook.name), origin(Some(&webhook.url)));
    }
    if let Some(email) = &config.email {
        found.insert("email.smtp.host".into(), format!("{}:{}", email.smtp.host, email.smtp.port()));
    }
    if let Some(otlp) = config.telemetry.otlp.as_ref() {
        found.insert("telemetry.otlp.endpoint".into(), origin(Some(&otlp.endpoint)));
    }
    found
}

fn origin(url: Option<&str>) -> String {
    match url.map(Url::parse) {
        None => OWN.to_owned(),
        Some(Ok(url)) => url.origin().ascii_serialization(),
        Some(Err(_)) => "an address that is no URL".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(storage: &str, rest: &str) -> String {
        format!(
            "tenantId: t\ncluster: c\nregion: main\nregions:\n- {{name: main, master: true, storage: {storage}}}\nkeysDir: /keys\n\
             listen: {{api: '127.0.0.1:0', metrics: '127.0.0.1:1'}}\ndefaultNumberRegion: GB\n{rest}"
        )
    }

    fn s3(endpoint: &str) -> String {
        let endpoint = if endpoint.is_empty() { String::new() } else { format!(", endpoint: '{endpoint}'") };
        format!(
            "{{s3: {{bucket: b, region: eu-west-1, prefix: p{endpoint}, credentials: {{files: {{dir: /c}}}}}}}}"
        )
    }

    #[test]
    fn another_host_of_a_store_is_told_and_its_path_is_not() {
        let (a, b) =
            (config(&s3("https://a.example/x?sig=secret"), ""), config(&s3("https://b.example:9000/y"), ""));
        assert!(TenantConfig::parse(&a).is_ok(), "{:?}", TenantConfig::parse(&a).err());
        let expected = "regions[main].storage.s3.endpoint from https://a.example to https://b.example:9000";
        assert_eq!(list_moved(&a, &b), [expected]);
        assert_eq!(list_moved(&a, &a), [""; 0]);
        let own = config(&s3(""), "");
        let expected = "regions[main].storage.s3.endpoint from https://a.example to the provider's own";
        assert_eq!(list_moved(&a, &own), [expected]);
    }

    #[test]
    fn a_new_receiver_and_another_mail_server_are_told() {
        let with = |name: &str, host: &str| {
            config(
                &s3(""),
                &format!(
                    "mwi: {{webhooks: [{{name: {name}, url: 'https://{name}.example/hook', secretFile: /s}}]}}\n\
                     email: {{smtp: {{host: {host}}}, from: v@example.com}}\n"
                ),
            )
        };
        let (a, b) = (with("pbx", "mail.example"), with("crm", "mx.example"));
        assert!(TenantConfig::parse(&a).is_ok(), "{:?}", TenantConfig::parse(&a).err());
        let moved = list_moved(&a, &b);
        let expected = [
            "email.smtp.host from mail.example:587 to mx.example:587",
            "mwi.webhooks[crm].url to https://crm.example",
        ];
        assert_eq!(moved, expected);
    }

    #[test]
    fn a_configuration_that_cannot_be_read_tells_nothing() {
        assert_eq!(list_moved("of: another release", &config(&s3(""), "")), [""; 0]);
    }
}
