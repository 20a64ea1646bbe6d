//! The pods' service account: no right at all beyond what every account has.

use super::super::validate::Plan;
use super::names::{child_name, owned};
use k8s_openapi::api::core::v1::ServiceAccount;

/// Builds the account. Its token stays mounted: the core reads the issuer's discovery document with it.
pub fn build_service_account(plan: &Plan) -> ServiceAccount {
    ServiceAccount { metadata: owned(plan, child_name(&plan.name)), ..Default::default() }
}
