//! Variables of the core's container: the proxy, and where trusted authorities are. Pure.
//!
//! Clients of HTTP read these names everywhere, so that the same words hold for the core and for what a template adds.

use crate::tenant::build::access::ca_file;
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::core::v1::EnvVar;
use voicemail_resources::references::CaRef;
use voicemail_resources::voicemail_tenant::Proxy;

/// Where the image's base has the system's authorities.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs";
/// What is never asked for at a proxy, beside the cluster's own domain.
const OWN: [&str; 4] = ["localhost", "127.0.0.0/8", "::1", ".svc"];

/// The variables; none where the spec names neither.
pub fn build_environment(plan: &Plan) -> Option<Vec<EnvVar>> {
    let proxy = plan.proxy.iter().flat_map(|proxy| build_proxy(proxy, &plan.cluster_domain));
    let variables: Vec<EnvVar> = proxy.chain(plan.access.trusted.as_ref().map(build_trust)).collect();
    (!variables.is_empty()).then_some(variables)
}

fn build_proxy(proxy: &Proxy, domain: &str) -> Vec<EnvVar> {
    let given = proxy.no_proxy.iter().map(String::as_str);
    let domain = format!(".{domain}");
    let directly: Vec<&str> = given.chain(OWN).chain([domain.as_str()]).collect();
    let http = proxy.http_proxy.iter().map(|url| variable("HTTP_PROXY", url.clone()));
    let https = proxy.https_proxy.iter().map(|url| variable("HTTPS_PROXY", url.clone()));
    http.chain(https).chain([variable("NO_PROXY", directly.join(","))]).collect()
}

/// The folder has one file, which is read beside the system's.
fn build_trust(authorities: &CaRef) -> EnvVar {
    let file = ca_file(authorities);
    let folder = file.parent().unwrap_or(&file);
    variable("SSL_CERT_DIR", format!("{SYSTEM_AUTHORITIES}:{}", folder.display()))
}

fn variable(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.into(), value: Some(value), ..Default::default() }
}
