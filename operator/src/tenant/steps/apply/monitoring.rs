//! Objects for the Prometheus operator, where the cluster serves its kinds. The tenant serves without them, so
//! a failure here never stops a reconcile: it becomes a fact, which the status reports.

use crate::tenant::build::names::child_name;
use crate::tenant::steps::apply::ApplyError;
use crate::tenant::steps::apply::applier::{Applier, stamp};
use kube::Api;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use std::time::Instant;

/// How monitors and alert rules are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MonitoringFact {
    /// The spec wants none.
    #[default]
    Unwanted,
    /// They are as they should.
    Applied,
    /// The cluster doesn't know these kinds.
    Unknown(Vec<String>),
    /// Why one couldn't be brought to what it should be.
    Refused(String),
}

impl MonitoringFact {
    /// The worse of two.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Refused(one), Self::Refused(other)) => Self::Refused(format!("{one}; {other}")),
            (refused @ Self::Refused(_), _) | (_, refused @ Self::Refused(_)) => refused,
            (Self::Unknown(one), Self::Unknown(other)) => Self::Unknown([one, other].concat()),
            (unknown @ Self::Unknown(_), _) | (_, unknown @ Self::Unknown(_)) => unknown,
            (Self::Unwanted, Self::Unwanted) => Self::Unwanted,
            _ => Self::Applied,
        }
    }
}

impl Applier<'_> {
    /// A child of a kind that the cluster may not know, or none.
    pub(super) async fn ensure_known(
        &self,
        kind: ApiResource,
        desired: Option<DynamicObject>,
    ) -> MonitoringFact {
        self.ensure_known_as(kind, &child_name(&self.plan.name), desired).await
    }

    /// As [`Self::ensure_known`], under another name.
    pub(super) async fn ensure_known_as(
        &self,
        kind: ApiResource,
        name: &str,
        desired: Option<DynamicObject>,
    ) -> MonitoringFact {
        let (now, wanted) = (Instant::now(), desired.is_some());
        let unknown = || match wanted {
            true => MonitoringFact::Unknown(vec![kind.kind.clone()]),
            false => MonitoringFact::Unwanted,
        };
        // A tenant that is being made has had none; once it serves, one that isn't wanted any more is looked for.
        if self.context.missing_kinds.find(&kind.kind, now).is_some() || !(wanted || self.plan.is_store_known)
        {
            return unknown();
        }
        match self.bring(&kind, name, desired).await {
            Ok(()) if wanted => MonitoringFact::Applied,
            Ok(()) => MonitoringFact::Unwanted,
            // A kind that isn't there answers as a missing page, one that just came as a missing object.
            Err(ApplyError::Call(error)) if error.is_unknown_kind() || error.is_not_found() => {
                self.context.missing_kinds.note(&kind.kind, now, ());
                unknown()
            }
            Err(error) => MonitoringFact::Refused(format!("{}: {error}", kind.kind)),
        }
    }

    async fn bring(
        &self,
        kind: &ApiResource,
        name: &str,
        desired: Option<DynamicObject>,
    ) -> Result<(), ApplyError> {
        let client = self.context.client.clone();
        let api: Api<DynamicObject> = Api::namespaced_with(client, &self.plan.namespace, kind);
        match desired {
            Some(desired) => {
                let desired = stamp(&desired, &kind.api_version, &kind.kind)?;
                self.converge_in(&api, &kind.kind, desired).await.map(drop)
            }
            None => self.remove_named(&api, &kind.kind, name).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MonitoringFact::{Applied, Refused, Unknown, Unwanted};

    #[test]
    fn the_worse_of_two_facts_is_told() {
        assert_eq!(Applied.and(Unwanted), Applied);
        assert_eq!(Unwanted.and(Unwanted), Unwanted);
        assert_eq!(
            Unknown(vec!["A".into()]).and(Unknown(vec!["B".into()])),
            Unknown(vec!["A".into(), "B".into()])
        );
        assert_eq!(Unknown(vec!["A".into()]).and(Refused("no".into())), Refused("no".into()));
        assert_eq!(Applied.and(Unknown(vec!["A".into()])), Unknown(vec!["A".into()]));
    }
}
