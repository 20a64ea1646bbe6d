//! Real servers for the tests: Azurite for Azure Blob; MinIO, versitygw, moto, s3proxy and one of our own for S3; two authorisation servers; Prometheus; Exim for mail;
//! and Chromium and Firefox for the pages.
//!
//! schemathesis and pocketsphinx are no servers: one asks the one under test, the other hears what a telephone was sent.
//!
//! Each guard starts one server process with a data folder of its own, waits until it answers, tells endpoint
//! and credentials, and ends it when dropped. `stop` and `start_again` keep port and data; `kill` is a crash.
//! A server listens on [`loopback`] or, for pods of the local cluster, on this machine's end of the link to it.
//!
//! The servers are installed once for each machine, from pinned sources, below the folder that also holds the
//! cluster's programs (`install`); the first use of one takes up to a few minutes and says so.
//!
//! What can go wrong: Node, npm, Go, Python, Java or Maven is missing, or a package registry is out of reach (the error
//! says which and what to install); a server that doesn't start shows the end of its log.

pub mod answer;
pub mod asterisk;
pub mod azure_admin;
pub mod azurite;
pub mod baresip;
pub mod browser;
mod daemon;
pub mod dovecot;
pub mod exim;
pub mod firefox;
pub mod in_process;
pub mod kamailio;
pub mod keycloak;
pub mod listener;
mod maven;
pub mod minio;
pub mod moto;
mod npm;
pub mod oidc;
pub mod pocketsphinx;
pub mod ports;
mod process;
pub mod prometheus;
pub mod python;
pub mod registry;
pub mod s3_admin;
pub mod s3proxy;
pub mod s3s;
pub mod schemathesis;
pub mod sipp;
pub mod sipp_proxy;
pub mod tinyproxy;
pub mod tls_tunnel;
pub mod versitygw;
pub mod voicemail_core;
pub mod voicemail_sip;

use std::net::{IpAddr, Ipv4Addr};

pub use answer::Answer;
pub use azure_admin::{AzureAccount, AzureAdmin, AzureEndpoint};
pub use azurite::Azurite;
pub use keycloak::Keycloak;
pub use minio::Minio;
pub use moto::Moto;
pub use oidc::{OidcServer, TokenKind};
pub use ports::find_free_port;
pub use prometheus::{Prometheus, Target};
pub use s3_admin::{ObjectVersion, S3Admin, S3Endpoint, S3Keys};
pub use s3proxy::S3Proxy;
pub use s3s::{Oddity, S3sServer};
pub use versitygw::Versitygw;

/// The address that only this machine reaches.
pub fn loopback() -> IpAddr {
    IpAddr::V4(Ipv4Addr::LOCALHOST)
}
