{{- define "operator.name" -}}
{{- printf "%s" .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "operator.selector" -}}
app.kubernetes.io/name: voicemail-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.extraLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "operator.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Where pods of the operator's image run, whatever they do. */}}
{{- define "operator.scheduling" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Rights of the operator in a namespace with tenants. Secrets: by name, never list or watch. */}}
{{- define "operator.rules" -}}
- apiGroups: [voicemail.dev]
  resources: [voicemailtenants]
  verbs: [get, list, watch, patch]
- apiGroups: [voicemail.dev]
  resources: [gdprrequests]
  verbs: [get, list, watch, create, delete]
- apiGroups: [voicemail.dev]
  resources: [voicemailtenants/status, gdprrequests/status]
  verbs: [patch]
- apiGroups: [voicemail.dev]
  resources: [voicemailtenants/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch, delete]
- apiGroups: [""]
  resources: [serviceaccounts, configmaps, services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
# Credentials in a vault; the kind is there only with the Secrets Store CSI driver.
- apiGroups: [secrets-store.csi.x-k8s.io]
  resources: [secretproviderclasses]
  verbs: [get, list, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
# The telephone's pods, which are told to end when a tenant has no telephone any more.
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
# They let go of a deleted tenant's store.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, create, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
# The kinds are there only with Prometheus' operator.
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors, prometheusrules]
  verbs: [get, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* Whether a VoicemailPolicy is for the namespace of the object. */}}
{{- define "operator.policyApplies" -}}
- name: applies
  expression: >-
    !has(params.spec.namespaceLabels) || params.spec.namespaceLabels.all(k, has(namespaceObject.metadata.labels)
    && k in namespaceObject.metadata.labels && namespaceObject.metadata.labels[k] == params.spec.namespaceLabels[k])
{{- end -}}

{{/* All VoicemailPolicies count. */}}
{{- define "operator.policyBinding" -}}
validationActions: [Deny]
paramRef:
  selector: {}
  parameterNotFoundAction: Allow
{{- with .Values.admissionPolicy.namespaceSelector }}
matchResources:
  namespaceSelector:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{/* A cluster's own name, which can't be read without a cluster-wide right. */}}
{{- define "operator.checkValues" -}}
{{- if and .Values.watchNamespaces (not .Values.clusterName) -}}
{{- fail "clusterName: write a name for this cluster, since with watchNamespaces the operator can't read one" -}}
{{- end -}}
{{- end -}}
