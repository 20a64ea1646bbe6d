//! The headers of what is sent to a store, as a server sees them that answers as S3 and Azure do.

use super::{ObjectBackend, UploadBudget};
use crate::{Key, Store, StoreError};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use voicemail_api::config::{AzureBlobConfig, S3Config};

/// Requests as they came: the line and the headers, in lower case.
type Log = Arc<Mutex<Vec<String>>>;

/// A server that takes what is written, says nothing is there but what is in an archive, and remembers the requests.
async fn serve() -> (String, Log) {
    // Another test of this program may have been first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, log) = (format!("http://{}", listener.local_addr().unwrap()), Log::default());
    let seen = Arc::clone(&log);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&seen)));
        }
    });
    (url, log)
}

async fn answer(mut stream: TcpStream, log: Log) {
    let (mut read, mut buffer) = (Vec::new(), [0; 65_536]);
    let head = loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(some) => read.extend_from_slice(&buffer[..some]),
        }
        let text = String::from_utf8_lossy(&read).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                break head.to_owned();
            }
        }
    };
    let body = match head.split(' ').collect::<Vec<_>>()[..] {
        ["get", ..] => "<Error><Code>InvalidObjectState</Code></Error>",
        ["post", path, ..] if path.contains("uploads") => {
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        }
        ["post", path, ..] if path.contains("uploadid") => {
            "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
        }
        _ => "",
    };
    let status = if head.starts_with("get") { "403 Forbidden" } else { "201 Created" };
    let status = if head.starts_with("post") { "200 OK" } else { status };
    log.lock().unwrap().push(head);
    let answer = format!(
        "HTTP/1.1 {status}\r\nETag: \"x\"\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
}

fn key(name: &str) -> Key {
    Key::listed(name).unwrap()
}

/// A document, an object and one in parts.
async fn write_all_ways(store: &ObjectBackend) {
    store.create(&key("a/1"), Bytes::from_static(b"1")).await.unwrap();
    store.replace(&key("a/2"), None, Bytes::from_static(b"2")).await.unwrap();
    let part = Bytes::from(vec![7; 6 << 20]);
    let body = stream::iter([Ok(part.clone()), Ok(part)]).boxed();
    store.put(&key("a/3"), body).await.unwrap();
}

fn s3(url: &str, folder: &std::path::Path, more: serde_json::Value) -> ObjectBackend {
    for name in ["accessKeyId", "secretAccessKey"] {
        std::fs::write(folder.join(name), "secret").unwrap();
    }
    let mut config = json!({"bucket": "voice", "region": "eu-west-1", "endpoint": url, "credentials": {"files": {"dir": folder}}});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let config: S3Config = serde_json::from_value(config).unwrap();
    ObjectBackend::open_s3(&config, "t", UploadBudget::new(64), &crate::machine::real_world()).unwrap()
}

fn azure(
    url: &str,
    folder: &std::path::Path,
    credential: (&str, &str),
    more: serde_json::Value,
) -> ObjectBackend {
    std::fs::write(folder.join(credential.0), credential.1).unwrap();
    let mut config = json!({"account": "acme", "container": "voice", "endpoint": format!("{url}/acme"),
                            "credentials": {"files": {"dir": folder}}});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let config: AzureBlobConfig = serde_json::from_value(config).unwrap();
    ObjectBackend::open_azure(&config, "t", UploadBudget::new(64), &crate::machine::real_world()).unwrap()
}

/// What begins a write: of an object in parts, the request that makes it.
fn begins_write(head: &str) -> bool {
    (head.starts_with("put") && !head.contains("partnumber=")) || head.contains("?uploads")
}

#[tokio::test]
async fn every_write_to_s3_asks_for_the_encryption_that_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    for (asked, headers) in [
        (json!({"algorithm": "AES256"}), vec!["x-amz-server-side-encryption: aes256"]),
        (json!({"algorithm": "KMS"}), vec!["x-amz-server-side-encryption: aws:kms"]),
        (
            json!({"algorithm": "KMS", "kmsKeyID": "key-1"}),
            vec![
                "x-amz-server-side-encryption: aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id: key-1",
            ],
        ),
    ] {
        let (url, log) = serve().await;
        write_all_ways(&s3(&url, folder.path(), json!({"encryption": asked}))).await;
        let log = log.lock().unwrap().clone();
        let writes: Vec<&String> = log.iter().filter(|head| begins_write(head)).collect();
        assert!(writes.len() >= 3, "{log:#?}");
        for (head, header) in writes.iter().flat_map(|head| headers.iter().map(move |header| (head, header)))
        {
            assert!(head.lines().any(|line| line == *header), "{header} isn't in {head}");
        }
    }
    let (url, log) = serve().await;
    write_all_ways(&s3(&url, folder.path(), json!({}))).await;
    assert!(log.lock().unwrap().iter().all(|head| !head.contains("server-side-encryption")));
}

#[tokio::test]
async fn every_write_to_azure_names_the_scope_or_carries_the_customers_key() {
    let key_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&key_file, "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n").unwrap();
    let account_key = ("accountKey", "c2VjcmV0");
    let token = ("sasToken", "sv=2024-11-04&ss=b&sig=abc");
    for (credential, asked, header) in [
        (account_key, json!({"scope": "tenant-a"}), "x-ms-encryption-scope: tenant-a"),
        (token, json!({"scope": "tenant-a"}), "x-ms-encryption-scope: tenant-a"),
        (account_key, json!({"customerKeyFile": key_file.path()}), "x-ms-encryption-algorithm: aes256"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (url, log) = serve().await;
        write_all_ways(&azure(&url, folder.path(), credential, json!({"encryption": asked}))).await;
        let log = log.lock().unwrap().clone();
        let writes: Vec<&String> = log.iter().filter(|head| head.starts_with("put")).collect();
        assert!(writes.len() >= 4, "{log:#?}");
        assert!(writes.iter().all(|head| head.lines().any(|line| line == header)), "{header}: {writes:#?}");
    }
}

#[tokio::test]
async fn what_is_archived_is_told_and_asked_back_only_where_that_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let (url, log) = serve().await;
    let told = s3(&url, folder.path(), json!({})).read(&key("au/1"), None).await.err().unwrap();
    assert!(matches!(told, StoreError::Archived(_)), "{told}");
    assert!(log.lock().unwrap().iter().all(|head| !head.starts_with("post")));
    let store = s3(&url, folder.path(), json!({"restoreArchived": {"days": 7}}));
    let asked = store.read(&key("au/1"), None).await.err().unwrap();
    assert!(matches!(asked, StoreError::Restoring(_)) && asked.is_about_one(), "{asked}");
    assert!(log.lock().unwrap().iter().any(|head| head.starts_with("post") && head.contains("?restore")));
    let (url, log) = serve().await;
    let store =
        azure(&url, folder.path(), ("accountKey", "c2VjcmV0"), json!({"restoreArchived": {"tier": "Cool"}}));
    let asked = store.read(&key("au/1"), None).await.err().unwrap();
    assert!(matches!(asked, StoreError::Restoring(_)), "{asked}");
    let log = log.lock().unwrap();
    assert!(
        log.iter().any(|head| head.contains("comp=tier") && head.contains("x-ms-access-tier: cool")),
        "{log:#?}"
    );
}

#[test]
fn a_customers_key_that_is_none_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("accountKey"), "c2VjcmV0").unwrap();
    for text in ["", "short", "MDEyMzQ1Njc4OWFiY2RlZg=="] {
        let file = folder.path().join("customerKey");
        std::fs::write(&file, text).unwrap();
        let config: AzureBlobConfig = serde_json::from_value(json!({
            "account": "acme", "container": "voice", "credentials": {"files": {"dir": folder.path()}},
            "encryption": {"customerKeyFile": file},
        }))
        .unwrap();
        let refused =
            ObjectBackend::open_azure(&config, "t", UploadBudget::new(64), &crate::machine::real_world())
                .err()
                .unwrap();
        assert!(matches!(&refused, StoreError::Credentials(why) if why.contains("32 bytes")), "{refused}");
    }
}
