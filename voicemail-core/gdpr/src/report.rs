//! The register as a table: what was received, when it was due, extended and why, who approved, how it ended.

use super::arguments::Format;
use super::client::connect;
use super::{Arguments, Failure};
use serde_json::Value;
use std::io::Write;

const COLUMNS: [&str; 16] = [
    "case",
    "run",
    "operation",
    "outcome",
    "receivedAt",
    "dueAt",
    "extendedMonths",
    "extendedBecause",
    "verifiedBy",
    "approver",
    "denial",
    "endedAt",
    "matched",
    "erased",
    "exported",
    "receiptNumber",
];

pub(super) async fn print(
    arguments: &Arguments,
    from: &str,
    to: Option<&str>,
    format: Format,
) -> Result<(), Failure> {
    let tenant = connect(arguments, None).await?;
    let mut query = vec![("from", from)];
    query.extend(to.map(|to| ("to", to)));
    let page: Value = tenant.get("gdpr/register", &query).await?;
    let text = match format {
        Format::Json => page["entries"].to_string() + "\n",
        Format::Csv => csv(page["entries"].as_array().map(Vec::as_slice).unwrap_or_default()),
    };
    write!(std::io::stdout(), "{text}").map_err(|error| Failure::Local(error.to_string()))
}

fn csv(entries: &[Value]) -> String {
    let line = |entry: &Value| COLUMNS.map(|column| cell(&entry[column])).join(",") + "\r\n";
    COLUMNS.join(",") + "\r\n" + &entries.iter().map(line).collect::<String>()
}

/// RFC 4180. A cell that a spreadsheet would take for a formula begins with an apostrophe.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_quoted_where_needed_and_are_no_formulas() {
        let entry = json!({ "case": "=1+1", "extendedBecause": "many, \"very\" many", "matched": 3 });
        let text = csv(&[entry]);
        let line = text.lines().nth(1).unwrap();
        assert_eq!(line, "'=1+1,,,,,,,\"many, \"\"very\"\" many\",,,,,3,,,");
    }
}
