//! A certificate that is brought, over whole reconciles: what the pods mount is a copy that was found right.

use super::build::certificate::{make_authority, make_serving_secret};
use super::context::Context;
use super::fake_cluster::{Cluster, core, deployment};
use super::tests::{plan, tenant};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

const TLS: &str = "acme-voicemail-tls";
const CERTIFICATE: &str = "CertificateReady";

/// A Secret with a certificate for the tenant, valid from then on for ninety days.
fn brought(name: &str, since: Timestamp) -> Value {
    let authority = make_authority(&plan(), since).unwrap();
    let made = make_serving_secret(&plan(), &authority, since).unwrap();
    let mut secret = serde_json::to_value(made).unwrap();
    secret["metadata"] = json!({"name": name, "namespace": "voice"});
    secret
}

fn with_secret(name: &str) -> impl FnOnce(&mut Value) {
    let tls = json!({"secretRef": {"name": name}});
    move |value| value["spec"]["tls"] = tls
}

/// The certificate volume of the pods.
fn mounted(cluster: &Cluster) -> Option<Value> {
    let volumes = cluster.get(&deployment())?["spec"]["template"]["spec"]["volumes"].clone();
    let tls = volumes.as_array()?.iter().find(|volume| volume["name"] == "tls")?.clone();
    cluster.get(&core("secrets", tls["secret"]["secretName"].as_str()?))
}

async fn serve(cluster: &Cluster, context: &Context) {
    for _ in 0..2 {
        cluster.reconcile(context).await.unwrap();
        cluster.let_pods_serve();
    }
    cluster.reconcile(context).await.unwrap();
}

fn is(cluster: &Cluster, status: &str, reason: &str) -> String {
    let (found, because, message) = cluster.condition(CERTIFICATE).unwrap();
    assert_eq!((found.as_str(), because.as_str()), (status, reason), "{message}");
    message
}

#[tokio::test]
async fn a_certificate_that_becomes_broken_reaches_no_pod_and_the_next_right_one_does() {
    let (cluster, context) = Cluster::start(&tenant(with_secret("cert")));
    let first = brought("cert", Timestamp::now());
    cluster.put(&core("secrets", "cert"), first.clone());
    serve(&cluster, &context).await;
    is(&cluster, "True", "CertificateValid");
    assert_eq!(mounted(&cluster).unwrap()["data"], first["data"]);
    let stale = brought("cert", Timestamp::now() - (24 * 200).hours());
    let mixed = json!({"tls.crt": stale["data"]["tls.crt"], "tls.key": first["data"]["tls.key"]});
    for (data, reason) in [
        (mixed, "CertificateUnusable"),
        (stale["data"].clone(), "CertificateExpired"),
        (json!({"tls.crt": first["data"]["tls.crt"]}), "TlsSecretInvalid"),
    ] {
        cluster.change(&core("secrets", "cert"), |secret| secret["data"] = data);
        serve(&cluster, &context).await;
        let message = is(&cluster, "False", reason);
        assert!(message.contains("last good one, of Secret acme-voicemail-tls"), "{message}");
        let served = mounted(&cluster).expect("a pod that starts now finds its certificate");
        assert_eq!(served["data"], first["data"], "{reason}");
        assert_eq!(cluster.condition("Ready").unwrap().0, "True", "{reason}");
    }
    cluster.lock().objects.remove(&core("secrets", "cert"));
    serve(&cluster, &context).await;
    is(&cluster, "False", "TlsSecretInvalid");
    assert_eq!(mounted(&cluster).unwrap()["data"], first["data"], "it was deleted");
    let next = brought("cert", Timestamp::now());
    cluster.put(&core("secrets", "cert"), next.clone());
    serve(&cluster, &context).await;
    is(&cluster, "True", "CertificateValid");
    assert_eq!(mounted(&cluster).unwrap()["data"], next["data"]);
}

#[tokio::test]
async fn a_tenant_goes_from_a_made_certificate_to_a_brought_one_and_back_without_a_rollout() {
    let (cluster, context) = Cluster::start(&tenant(|_| {}));
    serve(&cluster, &context).await;
    let made = mounted(&cluster).unwrap();
    let template = || cluster.get(&deployment()).unwrap()["spec"]["template"].clone();
    let before = template();
    // Until there is a right one, the made one stays and is kept up.
    cluster.change_tenant(with_secret("cert"));
    serve(&cluster, &context).await;
    is(&cluster, "False", "TlsSecretInvalid");
    assert_eq!(mounted(&cluster).unwrap()["data"], made["data"]);
    let authority = core("secrets", "acme-voicemail-ca");
    assert!(cluster.get(&authority).is_some(), "what it is renewed by");
    let right = brought("cert", Timestamp::now());
    cluster.put(&core("secrets", "cert"), right.clone());
    serve(&cluster, &context).await;
    serve(&cluster, &context).await;
    is(&cluster, "True", "CertificateValid");
    let copy = mounted(&cluster).unwrap();
    assert_eq!(copy["data"], right["data"]);
    assert_eq!(copy["metadata"]["annotations"]["voicemail.dev/copied-from"], "cert");
    assert_eq!(copy["metadata"]["labels"]["voicemail.dev/tenant-uid"], "uid-1");
    assert!(cluster.get(&authority).is_none(), "nothing is signed by it any more");
    cluster.change_tenant(|value| drop(value["spec"].as_object_mut().unwrap().remove("tls")));
    serve(&cluster, &context).await;
    is(&cluster, "True", "CertificateValid");
    let again = mounted(&cluster).unwrap();
    assert!(again["data"] != copy["data"] && cluster.get(&authority).is_some());
    assert!(again["metadata"]["annotations"]["voicemail.dev/copied-from"].is_null());
    assert_eq!(cluster.get(&core("secrets", "cert")).unwrap()["data"], right["data"], "it isn't ours");
    assert_eq!(template(), before, "no pod was replaced");
}

#[tokio::test]
async fn a_certificate_that_is_brought_under_our_own_name_for_it_is_left_as_it_is() {
    let (cluster, context) = Cluster::start(&tenant(with_secret(TLS)));
    let right = brought(TLS, Timestamp::now());
    cluster.put(&core("secrets", TLS), right.clone());
    serve(&cluster, &context).await;
    let copy = mounted(&cluster).unwrap();
    assert_eq!(
        (&copy["metadata"]["name"], &copy["data"]),
        (&json!("acme-voicemail-tls-copy"), &right["data"])
    );
    assert_eq!(cluster.get(&core("secrets", TLS)).unwrap()["metadata"]["labels"], Value::Null);
}

#[tokio::test]
async fn a_tenant_that_never_had_a_right_certificate_is_told_what_is_wrong_with_it() {
    let (cluster, context) = Cluster::start(&tenant(with_secret("cert")));
    let mut broken = brought("cert", Timestamp::now());
    broken["data"]["tls.crt"] = broken["data"]["tls.key"].clone();
    cluster.put(&core("secrets", "cert"), broken);
    cluster.reconcile(&context).await.unwrap();
    let (status, reason, message) = cluster.condition("Ready").unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "TlsSecretInvalid"));
    assert!(message.contains("Secret cert can't be used"), "{message}");
    assert!(cluster.get(&core("secrets", TLS)).is_none() && mounted(&cluster).is_none());
}
