//! The chart's dashboards as files: which queries their panels ask, and which metrics these name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The operator's chart.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/voicemail-operator")
}

/// A dashboard.
pub fn read(file: &str) -> Result<Value> {
    let text = std::fs::read_to_string(chart().join("dashboards").join(file))?;
    serde_json::from_str(&text).with_context(|| format!("{file} isn't JSON"))
}

/// Title of each panel and its queries, with Grafana's variables as it fills them in.
pub fn queries(file: &str) -> Result<Vec<(String, String)>> {
    let (dashboard, mut found) = (read(file)?, Vec::new());
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            let query = target["expr"].as_str().context("a target has no query")?;
            let query = query.replace("$namespace", ".*").replace("$job", ".*");
            let query = query.replace("$__rate_interval", "30s");
            ensure!(!query.contains('$'), "{file}: an unknown variable in {query}");
            found.push((format!("{file}: {}", panel["title"]), query));
        }
    }
    for variable in list(&dashboard["templating"]["list"]) {
        if variable["type"] == "query" {
            let query = variable["query"].as_str().context("a variable has no query")?;
            let metric = query.trim_start_matches("label_values(").split([',', '{']).next();
            found.push((
                format!("{file}: variable {}", variable["name"]),
                metric.unwrap_or_default().to_owned(),
            ));
        }
    }
    Ok(found)
}

/// The metrics that a query names, by what may be one.
pub fn metrics_of(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = ["voicemail_", "controller_runtime_", "workqueue_", "rest_client_", "leader_election_"];
    words.filter(|word| ours.iter().any(|prefix| word.starts_with(prefix))).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::metrics_of;

    #[test]
    fn a_query_for_a_metric_that_nobody_has_would_be_found() {
        assert_eq!(
            metrics_of("sum(rate(voicemail_x_total{job=~\".*\"}[30s]))"),
            ["voicemail_x_total".to_owned()].into()
        );
        assert!(metrics_of("vector(0)").is_empty());
    }
}
