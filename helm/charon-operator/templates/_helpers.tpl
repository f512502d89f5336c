{{/* Name of everything of this release. */}}
{{- define "charon.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "charon.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "charon.name" .) }}
{{- end -}}

{{/* What selects the operator's pods: it may never change. */}}
{{- define "charon.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "charon.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "charon.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: charon-operator
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "charon.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The settings file: what is given, with what the chart knows better. */}}
{{- define "charon.settings" -}}
{{- $given := deepCopy .Values.settings -}}
{{- $lease := dict "namespace" .Release.Namespace "name" (include "charon.name" .) -}}
{{- $safety := dict "own_deployment" (printf "%s/%s" .Release.Namespace (include "charon.name" .)) -}}
{{- $ours := dict "lease" $lease "safety" $safety "health" (dict "host" "0.0.0.0" "port" 8080) -}}
{{- if .Values.journal.enabled -}}
{{- $_ := set $ours "journal" (dict "path" "/var/lib/charon/journal.jsonl") -}}
{{- end -}}
{{- if .Values.knobs.placement.enabled -}}
{{- $_ := set $ours "placement" (pick .Values.knobs.placement "enabled" "templates") -}}
{{- else if .Values.knobs.placement.templates -}}
{{- fail "knobs.placement.templates: variants are not placed at all; set knobs.placement.enabled too" -}}
{{- end -}}
{{- if .Values.watchNamespaces -}}
{{- $_ := set $ours "watch_namespaces" .Values.watchNamespaces -}}
{{- end -}}
{{- if .Values.forceMode -}}
{{- $_ := set $ours "force_mode" .Values.forceMode -}}
{{- end -}}
{{- toYaml (mergeOverwrite $given $ours) -}}
{{- end -}}
