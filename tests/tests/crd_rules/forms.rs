//! Texts, amounts and times that the rules about their form accept and refuse.

use serde_json::{Value, json};

use crate::objects::{CLIENT, Edits, azure, claim, role, s3, vault};
use crate::store_tables::secret;
use crate::tables::{Row, edit, on_storage, row};

/// A rule about the form of one value: good ones and bad ones.
fn form(rule: &'static str, place: impl Fn(Value) -> Edits, good: &[Value], bad: &[Value]) -> Row {
    row(rule, vec![], good.iter().cloned().map(&place).collect(), bad.iter().cloned().map(&place).collect())
}

fn at(pointer: &'static str) -> impl Fn(Value) -> Edits {
    move |value| edit(pointer, value)
}

/// A field of the only kind in a storage.
fn in_store(storage: Value, pointer: &'static str) -> impl Fn(Value) -> Edits {
    move |value| {
        let mut storage = storage.clone();
        *storage.pointer_mut(pointer).unwrap() = value;
        on_storage(storage)
    }
}

fn texts(values: &[&str]) -> Vec<Value> {
    values.iter().map(|value| json!(value)).collect()
}

/// Rules about the forms in a tenant.
pub(crate) fn tenant_forms() -> Vec<Row> {
    [store_forms(), access_forms(), other_forms()].concat()
}

fn store_forms() -> Vec<Row> {
    let (blob, bucket) = (azure(secret("azure")), s3(secret("s3")));
    let identity = azure(json!({"workloadIdentity": {"clientID": CLIENT, "tenantID": CLIENT}}));
    let (text, other) = (texts, "z".repeat(36));
    vec![
        form(
            "account: write",
            in_store(blob.clone(), "/azureBlob/account"),
            &text(&["acme1"]),
            &text(&["Acme", "a-cme"]),
        ),
        form(
            "container: write",
            in_store(blob.clone(), "/azureBlob/container"),
            &text(&["voice-mail"]),
            &text(&["voice--mail", "Voice", "-voice"]),
        ),
        form(
            "prefix: write names",
            in_store(blob.clone(), "/azureBlob/prefix"),
            &text(&["a", "a/b.c"]),
            &text(&["/a", "a//b", "a b"]),
        ),
        form(
            "prefix: write names",
            in_store(bucket.clone(), "/s3/prefix"),
            &text(&["a/b"]),
            &text(&["a/", ".a"]),
        ),
        form(
            "endpoint: write a URL without",
            in_store(bucket.clone(), "/s3/endpoint"),
            &text(&["http://minio:9000", "https://a.example/base"]),
            &text(&["minio:9000", "https://a?b", "https://user@a"]),
        ),
        form(
            "stsEndpoint: write a URL without",
            in_store(bucket.clone(), "/s3/stsEndpoint"),
            &text(&["https://sts.cn-north-1.amazonaws.com.cn"]),
            &text(&["sts", "https://a?b"]),
        ),
        form(
            "kmsKeyID: write the key",
            in_store(bucket.clone(), "/s3/encryption/kmsKeyID"),
            &text(&["arn:aws:kms:eu-west-1:123456789012:key/a", "alias/voice"]),
            &text(&["two words"]),
        ),
        form(
            "scope: write",
            in_store(blob.clone(), "/azureBlob/encryption/scope"),
            &text(&["tenant-a"]),
            &text(&["tenant_a", "a scope"]),
        ),
        form(
            "vaultName: write",
            in_store(azure(vault()), "/azureBlob/credentials/keyVault/vaultName"),
            &text(&["acme-1"]),
            &text(&["1acme", "acme-"]),
        ),
        form(
            "secretName: write",
            in_store(azure(vault()), "/azureBlob/credentials/keyVault/secretName"),
            &text(&["key-1"]),
            &text(&["key_1"]),
        ),
        form(
            "clientID: write",
            in_store(identity.clone(), "/azureBlob/credentials/workloadIdentity/clientID"),
            &text(&[CLIENT]),
            &text(&[&other]),
        ),
        form(
            "tenantID: write an id",
            in_store(identity, "/azureBlob/credentials/workloadIdentity/tenantID"),
            &text(&[CLIENT]),
            &text(&[&other]),
        ),
        form(
            "bucket: write",
            in_store(bucket.clone(), "/s3/bucket"),
            &text(&["a.b-c"]),
            &text(&["Abc", "-abc", "abc."]),
        ),
        form(
            "region: write letters",
            in_store(bucket, "/s3/region"),
            &text(&["eu-west-1"]),
            &text(&["eu west"]),
        ),
        form(
            "roleARN: write",
            in_store(s3(role("voicemail")), "/s3/credentials/webIdentity/roleARN"),
            &text(&["arn:aws-cn:iam::123456789012:role/a/b"]),
            &text(&["arn:aws:iam::12:role/voicemail", "arn:aws:s3:::bucket-of-somebody"]),
        ),
        form(
            "size: write an amount",
            |value| edit(&claim("/size"), value),
            &[json!(20), json!("1.5Gi")],
            &text(&["20GiB", "much"]),
        ),
        form(
            "keepFree.size: write",
            at("/spec/regions/0/storage/volume/keepFree/size"),
            &[json!("1Mi"), json!("1Ti"), json!(67_108_864)],
            &[json!("1Ki"), json!("2Ti"), json!("much")],
        ),
        form(
            "name: write lower-case",
            at("/spec/regions/0/name"),
            &text(&["eu"]),
            &text(&["Eu", "eu-", "e.u"]),
        ),
    ]
}

/// Where a proxy is.
fn proxy(rule: &'static str, path: &'static str) -> Row {
    let good = ["http://proxy.example:3128", "https://10.0.0.1", "http://[fd00::1]:3128/"];
    let bad = [
        "proxy.example:3128",
        "http://user:password@proxy.example",
        "socks5://proxy.example",
        "http://proxy/x",
    ];
    form(rule, at(path), &texts(&good), &texts(&bad))
}

fn access_forms() -> Vec<Row> {
    let (text, https) = (texts, ["http://id.example", "id.example", "https://"]);
    vec![
        form("issuer: write", at("/spec/auth/issuers/0/issuer"), &text(&["https://a"]), &text(&https)),
        form("issuer: write", at("/spec/web/login/0/issuer"), &text(&["https://id.example"]), &text(&https)),
        form("jwksURI: write", at("/spec/auth/issuers/0/jwksURI"), &text(&["https://a/k"]), &text(&https)),
        form(
            "endpoint: write a URL that begins",
            at("/spec/auth/introspection/endpoint"),
            &text(&["https://a/i"]),
            &text(&https),
        ),
        form(
            "longestTokenLife: write",
            at("/spec/auth/longestTokenLife"),
            &text(&["5m", "24h", "87600h"]),
            &text(&["4m59s", "87601h", "1d"]),
        ),
        form(
            "streamLifetime: write",
            at("/spec/mwi/streamLifetime"),
            &text(&["1m", "24h"]),
            &text(&["59s", "25h"]),
        ),
        form(
            "reconcileEvery: write",
            at("/spec/mwi/reconcileEvery"),
            &text(&["1s", "1h"]),
            &text(&["999ms", "61m"]),
        ),
        form(
            "webhooks.name: write",
            at("/spec/mwi/webhooks/0/name"),
            &text(&["pbx-1"]),
            &text(&["Pbx", "p.b"]),
        ),
        form(
            "url: write",
            at("/spec/mwi/webhooks/0/url"),
            &text(&["https://a"]),
            &text(&["http://a", "https://", "https://a b"]),
        ),
        form(
            "allowedPrivateRanges: write",
            at("/spec/mwi/webhooks/0/allowedPrivateRanges/0"),
            &text(&["10.0.0.0/8", "fd00::/8"]),
            &text(&["10.0.0.1", "pbx/8"]),
        ),
        form(
            "clockSkew: write",
            at("/spec/auth/issuers/0/clockSkew"),
            &text(&["0s", "5m", "1m30s"]),
            &text(&["5m1s", "1d", "30"]),
        ),
        form(
            "cache: write",
            at("/spec/auth/introspection/cache"),
            &text(&["60s", "500ms"]),
            &text(&["61s", "2m", "x"]),
        ),
        form(
            "allowedOrigins: write",
            at("/spec/cors/allowedOrigins/0"),
            &text(&["http://localhost:3000", "https://[::1]"]),
            &text(&["https://desk.example/", "https://*", "desk.example", "https://Desk"]),
        ),
        proxy("httpProxy: write http", "/spec/proxy/httpProxy"),
        proxy("httpsProxy: write http", "/spec/proxy/httpsProxy"),
        form(
            "noProxy: write",
            at("/spec/proxy/noProxy/0"),
            &text(&["store", "store.example.com", "192.0.2.9", "192.0.2.0/24", "fd00::/8"]),
            &text(&["a b", "https://x", "ä.example", "*.example.com", "store:443"]),
        ),
        row(
            "proxy: write httpsProxy",
            vec![],
            vec![edit("/spec/proxy/httpProxy", Value::Null), edit("/spec/proxy/httpsProxy", Value::Null)],
            vec![
                [edit("/spec/proxy/httpProxy", Value::Null), edit("/spec/proxy/httpsProxy", Value::Null)]
                    .concat(),
            ],
        ),
        form(
            "sharedAddresses: write",
            at("/spec/clientLimits/sharedAddresses/1"),
            &text(&["2001:db8::/64", "192.0.2.9"]),
            &text(&["1.2.3", "desk.example", "10.0.0.0/33"]),
        ),
        form(
            "endpoint: write the collector's",
            at("/spec/telemetry/otlp/endpoint"),
            &text(&["http://otel:4318"]),
            &text(&["otel:4318", "http://otel?x"]),
        ),
    ]
}

fn other_forms() -> Vec<Row> {
    let text = texts;
    vec![
        form("tenantID: write letters", at("/spec/tenantID"), &text(&["A-1"]), &text(&["a_1", "a b"])),
        form(
            "uploadBuffer: write",
            at("/spec/uploadBuffer"),
            &[json!("16Mi"), json!("4Gi"), json!(67_108_864)],
            &[json!("15Mi"), json!("5Gi"), json!("much"), json!(64)],
        ),
        form("defaultRegion: write", at("/spec/numbers/defaultRegion"), &text(&["DE"]), &text(&["de", "D1"])),
        form(
            "prefix: write digits",
            at("/spec/numbers/prefixes/0/prefix"),
            &text(&["00"]),
            &text(&["+4", "a"]),
        ),
        form(
            "replaceWith: write digits",
            at("/spec/numbers/prefixes/0/replaceWith"),
            &text(&["", "+44", "0"]),
            &text(&["++4", "a"]),
        ),
        form(
            "from: write one address",
            at("/spec/email/from"),
            &text(&["a@b", "Größe & Co <a.b+c@mail.example.com>"]),
            &text(&["a b@", "a@b, c@d", "A <a@b> c", "A <a@b", "a@b\r\nBcc: c@d"]),
        ),
        form(
            "replyTo: write one address",
            at("/spec/email/replyTo"),
            &text(&["a@b"]),
            &text(&["a b c", "A <a>"]),
        ),
        form(
            "host: write a host name",
            at("/spec/email/smtp/host"),
            &text(&["mail", "mail.example.com"]),
            &text(&["mail example", "smtp://mail", "mail:25"]),
        ),
        form("optOut: write", at("/spec/reception/optOut"), &text(&["sip:a@b"]), &text(&["a b", "ä"])),
        form(
            "language: write",
            at("/spec/reception/language"),
            &text(&["de", "de-CH-1996"]),
            &text(&["d1", "de_CH"]),
        ),
        form(
            "timeZone: write a time zone's",
            at("/spec/reception/timeZone"),
            &text(&["UTC"]),
            &text(&["+01:00", "europe/london"]),
        ),
        form(
            "timeZone: this one",
            at("/spec/reception/timeZone"),
            &text(&["Europe/Berlin", "America/Argentina/Buenos_Aires"]),
            &text(&["Europe/Lundon", "Local"]),
        ),
        form(
            "gdpr.undoWindow: write",
            at("/spec/gdpr/undoWindow"),
            &text(&["0s", "720h"]),
            &text(&["720h1s", "30d", "1x", "h"]),
        ),
        form(
            "gdpr.exportLifetime: write",
            at("/spec/gdpr/exportLifetime"),
            &text(&["1h"]),
            &text(&["7d", "99999h"]),
        ),
    ]
}

/// Rules about the forms in a request.
pub(crate) fn request_forms() -> Vec<Row> {
    vec![
        form("caseID: write letters", at("/spec/caseID"), &texts(&["A/1#2"]), &texts(&["+1", "a b"])),
        form(
            "undoWindow: write at most",
            at("/spec/undoWindow"),
            &texts(&["1h30m"]),
            &texts(&["721h", "1d"]),
        ),
    ]
}
