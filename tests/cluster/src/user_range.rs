//! Namespaces with a range of users, as OpenShift has them: a policy gives each pod there a user and a group of the range, and
//! another one refuses pods that ask for others.

use anyhow::Result;

use crate::Cluster;

/// The first user of the range.
pub const FIRST_USER: u32 = 1_000_650_000;

const POLICIES: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: voicemail-tests-user-range}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector: {matchLabels: {voicemail-tests/user-range: "true"}}
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE]}
  matchConditions:
  - {name: asks-for-none, expression: "!has(object.spec.securityContext.runAsUser)"}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: >-
        Object{spec: Object.spec{securityContext: Object.spec.securityContext{runAsUser: 1000650000, fsGroup: 1000650000}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: voicemail-tests-user-range}
spec:
  policyName: voicemail-tests-user-range
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: voicemail-tests-user-range}
spec:
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {matchLabels: {voicemail-tests/user-range: "true"}}
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE]}
  validations:
  - expression: >-
      object.spec.securityContext.runAsUser >= 1000650000 && object.spec.securityContext.runAsUser < 1000660000
      && object.spec.containers.all(c, !has(c.securityContext) || !has(c.securityContext.runAsUser))
    message: the user isn't of the namespace's range
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: voicemail-tests-user-range}
spec:
  policyName: voicemail-tests-user-range
  validationActions: [Deny]
"#;

/// Gives a namespace such a range.
pub fn give_range(cluster: &Cluster, namespace: &str) -> Result<()> {
    cluster.kubectl().apply(POLICIES)?;
    let range = format!("openshift.io/sa.scc.uid-range={FIRST_USER}/10000");
    cluster.run_kubectl(&["annotate", "namespace", namespace, "--overwrite", &range])?;
    let label = "voicemail-tests/user-range=true";
    cluster.run_kubectl(&["label", "namespace", namespace, "--overwrite", label]).map(drop)
}
