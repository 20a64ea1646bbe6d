//! Keeps other operators out of the tests' namespaces.
//!
//! The cluster is shared: an operator that watches all namespaces, such as a demo's, would reconcile the
//! tests' tenants too, and the two would undo each other's work. An admission policy refuses its writes there;
//! it sees an error in its log and goes on with its own tenants.

use anyhow::Result;

use crate::Cluster;

const POLICY: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: voicemail-tests-own-operator}
spec:
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {matchLabels: {voicemail-tests/own-operator: "true"}}
    resourceRules:
    - {apiGroups: ["*"], apiVersions: ["*"], resources: ["*/*"], operations: [CREATE, UPDATE, DELETE]}
  validations:
  - expression: >-
      !request.userInfo.username.startsWith('system:serviceaccount:')
      || request.userInfo.username.startsWith('system:serviceaccount:kube-system:')
      || request.userInfo.username.startsWith('system:serviceaccount:' + request.namespace + ':')
    message: this namespace belongs to a test, which has an operator of its own
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: voicemail-tests-own-operator}
spec:
  policyName: voicemail-tests-own-operator
  validationActions: [Deny]
"#;

/// Puts the policy into the cluster.
pub fn install_policy(cluster: &Cluster) -> Result<()> {
    cluster.kubectl().apply(POLICY).map(drop)
}

/// Puts a namespace under the policy.
pub fn keep_out(cluster: &Cluster, namespace: &str) -> Result<()> {
    let label = "voicemail-tests/own-operator=true";
    cluster.run_kubectl(&["label", "namespace", namespace, "--overwrite", label]).map(drop)
}
