//! A tenant whose Service has both families of addresses, IPv6 first: the API answers at each of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::{Secret, Service};
use serde_json::json;
use voicemail_test_cluster::layout::has_ipv6;
use voicemail_tests::tenant_manifest::tenant_on;
use voicemail_tests::tenant_place::TenantPlace;

#[tokio::test(flavor = "multi_thread")]
async fn the_api_answers_at_ipv6_first_and_at_ipv4() {
    assert!(has_ipv6(), "this machine has no IPv6: switch it on (sysctl net.ipv6.conf.all.disable_ipv6=0)");
    voicemail_test_machine::install_crypto();
    let mut place = TenantPlace::prepare("families").await.unwrap();
    let (volume, _) = place.create_volume().await.unwrap();
    let mut tenant = tenant_on("acme", &volume).unwrap();
    let families = json!({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]});
    tenant.spec.service = Some(serde_json::from_value(families).unwrap());
    place.create(&tenant).await.unwrap();
    place.wait_ready("acme").await.unwrap();

    let service: Service = place.namespace.api().get("acme-voicemail").await.unwrap();
    let addresses = service.spec.unwrap().cluster_ips.unwrap();
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    assert!(addresses.len() == 2 && addresses[0].is_ipv6() && addresses[1].is_ipv4(), "{addresses:?}");
    let served: Secret = place.namespace.api().get("acme-voicemail-tls").await.unwrap();
    let authority = reqwest::Certificate::from_pem(&served.data.unwrap()["ca.crt"].0).unwrap();
    let name = format!("acme-voicemail.{}.svc", place.namespace.name());
    for address in addresses {
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([authority.clone()])
            .resolve(&name, SocketAddr::new(address, 8081))
            .build()
            .unwrap();
        let answer = client.get(format!("https://{name}:8081/api/v1/me")).send().await;
        assert_eq!(answer.unwrap().status(), 401, "{address}: the API wants to know who asks");
    }
}
