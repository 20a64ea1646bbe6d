//! A whole voicemail system on a real cluster, as the demo shows it and the end-to-end tests use it.
//!
//! ```text
//! Site ─▶ Installation (the operator) ─▶ Tenant ─▶ Accounts (tokens) ─▶ Api (HTTPS)
//!                                          └─▶ volume's folder ─▶ Traces (the scan)
//! ```
//!
//! Nothing here reaches around the product: objects go through the API server, messages through the
//! tenant's Service. Only [`traces`] looks at the volume itself, from outside. Files of the workspace
//! (chart, examples) are read where the workspace was when this was built.

mod accounts;
mod api;
mod endpoint;
mod example;
mod installation;
mod operator_lock;
mod own_namespace;
mod people;
mod promises;
mod requests;
mod site;
mod speech;
mod steps;
mod tenant;
mod traces;

use std::path::{Path, PathBuf};

pub use accounts::{Accounts, request_token};
pub use api::{Api, ApiError, Deposit};
pub use endpoint::Endpoint;
pub use example::ExampleTenant;
pub use installation::{Installation, NAMESPACE, RELEASE, SharedOperator, Watch};
pub use operator_lock::OperatorLock;
pub use people::People;
pub use promises::{Deposits, Promise, Report, check_promises, deposit_until_acknowledged};
pub use requests::{apply_request, follow_request};
pub use site::Site;
pub use speech::{Coding, Studio, sound_of, wav_of};
pub use steps::Steps;
pub use tenant::{Tenant, TenantManifest};
pub use traces::{Sought, Trace, Traces};

/// A file or folder of the workspace.
pub fn workspace_path(path: &str) -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).join(path)
}
