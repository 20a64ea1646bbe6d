{{- define "operator.name" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "operator.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default "voicemail-operator" }}
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

{{- define "operator.annotations" -}}
{{- with .Values.extraAnnotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* The name of an image, at the registry of `global.imageRegistry` if there is one: a first part with a dot or a colon, or
localhost, is a registry. */}}
{{- define "operator.fromRegistry" -}}
{{- $registry := .root.Values.global | default dict | dig "imageRegistry" "" -}}
{{- if $registry -}}
{{- $parts := splitList "/" .name -}}
{{- $first := first $parts -}}
{{- $named := and (gt (len $parts) 1) (or (contains "." $first) (contains ":" $first) (eq $first "localhost")) -}}
{{ trimSuffix "/" $registry }}/{{ ternary (join "/" (rest $parts)) .name $named }}
{{- else -}}
{{ .name }}
{{- end -}}
{{- end -}}

{{- define "operator.image" -}}
{{- $name := include "operator.fromRegistry" (dict "root" . "name" .Values.image.repository) -}}
{{- if .Values.image.digest -}}
{{ $name }}@{{ .Values.image.digest }}
{{- else -}}
{{ $name }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The image of tenants that name none. */}}
{{- define "operator.coreImage" -}}
{{- if .Values.coreImage -}}
{{ include "operator.fromRegistry" (dict "root" . "name" .Values.coreImage) }}
{{- else -}}
{{ include "operator.image" . }}
{{- end -}}
{{- end -}}

{{/* Whom pods of the operator's image run as. On OpenShift the namespace's range says it. */}}
{{- define "operator.podSecurity" -}}
{{- $given := .Values.podSecurityContext -}}
{{- if .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- $given = omit $given "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
securityContext:
  {{- toYaml $given | nindent 2 }}
{{- end -}}

{{/* Variables of every container of the operator's image, beside its own. */}}
{{- define "operator.extraEnv" -}}
{{- with .Values.extraEnv -}}
{{- toYaml . }}
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
