//! A whole voicemail system on a real cluster, as the demo shows it and the end-to-end tests use it.
//!
//! ```text
//! Site ─▶ Installation (the operator) ─▶ Tenant ─▶ Accounts (tokens) ─▶ Api (HTTPS)
//!                                          └─▶ volume's folder ─▶ Traces (the scan)
//! ```
//!
//! Nothing here reaches around the product: objects go through the API server, messages through the
//! tenant's Service. Only `traces` (of the machine crate) looks at the volume itself, from outside. Files of the workspace
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
mod steps;
mod tenant;

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
pub use steps::Steps;
pub use tenant::{Tenant, TenantManifest};
