//! What policies refuse, one question a function. Pure.
//!
//! Each says in a sentence what is refused and by which policy, in the words of the admission policies.

use super::hosts::{host, is_below, names};
use super::{DigestRule, StoreIdentity, TemplateRule, VoicemailPolicy, VoicemailPolicySpec};
use crate::voicemail_tenant::{AzureBlob, Issuer, PodTemplate, S3};
use voicemail_api::aws::domain_of;

/// The policies that a tenant has to keep.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a>(pub &'a [VoicemailPolicy]);

impl Rules<'_> {
    /// The first refusal.
    fn first(self, refuse: impl Fn(&VoicemailPolicySpec) -> Option<String>) -> Option<String> {
        let named = |policy: &VoicemailPolicy| {
            let name = policy.metadata.name.as_deref().unwrap_or("of the operator's file");
            refuse(&policy.spec).map(|allowed| format!("policy {name} allows only: {allowed}"))
        };
        self.0.iter().find_map(named)
    }

    /// An image that a tenant names.
    pub fn refuse_image(self, image: &str) -> Option<String> {
        self.first(|policy| {
            let rules = policy.images.as_ref()?;
            if let Some(prefixes) = &rules.prefixes
                && !prefixes.iter().any(|prefix| image.starts_with(prefix.as_str()))
            {
                return Some(prefixes.join(", "));
            }
            let unpinned = rules.digest == DigestRule::Required && !has_digest(image);
            unpinned.then(|| "images by digest, such as core@sha256:…".to_owned())
        })
    }

    /// An issuer, by its URL and that of its keys.
    pub fn refuse_issuer(self, issuer: &str, keys: Option<&str>) -> Option<String> {
        self.first(|policy| {
            let list = policy.issuers.as_ref()?;
            let allowed =
                list.iter().any(|known| known == issuer) && keys.is_none_or(|url| is_below(list, url));
            (!allowed).then(|| list.join(", "))
        })
    }

    /// An issuer of a tenant.
    pub(super) fn refuse_given_issuer(self, issuer: &Issuer) -> Option<String> {
        self.refuse_issuer(&issuer.issuer, issuer.jwks_uri.as_deref())
    }

    /// An introspection endpoint.
    pub fn refuse_introspection(self, endpoint: &str) -> Option<String> {
        self.first(|policy| {
            let list = policy.issuers.as_ref()?;
            (!is_below(list, endpoint)).then(|| list.join(", "))
        })
    }

    /// The namespace of a service account.
    pub fn refuse_account(self, namespace: &str) -> Option<String> {
        self.first(|policy| {
            let list = policy.service_account_namespaces.as_ref()?;
            (!list.iter().any(|known| known == namespace)).then(|| list.join(", "))
        })
    }

    /// The place to which credentials, spans or MWI states are sent.
    pub fn refuse_endpoint(self, url: &str) -> Option<String> {
        self.refuse_host(host(url).as_deref())
    }

    /// The same of a host that is given as such.
    pub(super) fn refuse_host(self, host: Option<&str>) -> Option<String> {
        self.first(|policy| {
            let list = policy.endpoints.as_ref()?;
            (!host.is_some_and(|host| names(list, host))).then(|| list.join(", "))
        })
    }

    /// The place of an Azure store.
    pub(super) fn refuse_azure(self, azure: &AzureBlob) -> Option<String> {
        match &azure.endpoint {
            Some(endpoint) => self.refuse_endpoint(endpoint),
            None => self.refuse_host(Some(&format!("{}.blob.core.windows.net", azure.account))),
        }
    }

    /// The place of an S3 store, and of the service that gives its credentials.
    pub(super) fn refuse_s3(self, s3: &S3) -> Option<String> {
        let own = || format!("s3.{}.{}", s3.region, domain_of(&s3.region));
        let place = match &s3.endpoint {
            Some(endpoint) => self.refuse_endpoint(endpoint),
            None => self.refuse_host(Some(&own())),
        };
        place.or_else(|| self.refuse_endpoint(s3.sts_endpoint.as_ref()?))
    }

    /// A kind of credentials.
    pub(super) fn refuse_identity(self, identity: StoreIdentity) -> Option<String> {
        self.first(|policy| {
            let list = policy.identities.as_ref()?;
            let names: Vec<&str> = list.iter().map(|known| known.name()).collect();
            (!list.contains(&identity)).then(|| names.join(", "))
        })
    }

    /// A template of pods.
    pub(super) fn refuse_template(self, template: &PodTemplate) -> Option<String> {
        let beyond = template.spec.beyond_placement();
        self.first(|policy| match (policy.pod_template, beyond) {
            (TemplateRule::None, _) => Some("no template".to_owned()),
            (TemplateRule::Placement, Some(field)) => Some(format!("where pods run, and not {field}")),
            (TemplateRule::Placement, None) | (TemplateRule::Full, _) => None,
        })
    }
}

/// Whether an image's name ends in a digest: 64 hexadecimal digits of SHA-256.
fn has_digest(image: &str) -> bool {
    let digest = image.rsplit_once("@sha256:").map(|(_, digest)| digest);
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    digest.is_some_and(|digest| digest.len() == 64 && digest.chars().all(is_hex))
}
