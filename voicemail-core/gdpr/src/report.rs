//! The register as a table: what was received, when it was due, extended and why, who approved, how it ended.

use super::arguments::Format;
use super::client::connect;
use super::{Arguments, Failure};
use serde::Deserialize;
use serde_json::Value;
use std::io::Write;
use voicemail_client::Client;

/// Entries that one request asks for.
const A_PAGE: &str = "100";

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

/// A page of the register.
#[derive(Deserialize)]
struct Page {
    entries: Vec<Value>,
    next: Option<String>,
}

pub(super) async fn print(
    arguments: &Arguments,
    from: &str,
    to: Option<&str>,
    format: Format,
) -> Result<(), Failure> {
    let tenant = connect(arguments, None).await?;
    let entries = read_all(&tenant, from, to).await?;
    let text = match format {
        Format::Json => Value::Array(entries).to_string() + "\n",
        Format::Csv => csv(&entries),
    };
    write!(std::io::stdout(), "{text}").map_err(|error| Failure::Local(error.to_string()))
}

/// Every entry, page by page, oldest first.
async fn read_all(tenant: &Client, from: &str, to: Option<&str>) -> Result<Vec<Value>, Failure> {
    let (mut entries, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut query = vec![("from", from), ("limit", A_PAGE)];
        query.extend(to.map(|to| ("to", to)));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let mut page: Page = tenant.get("gdpr/register", &query).await?;
        entries.append(&mut page.entries);
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    entries.sort_by_key(|entry| (entry["receivedAt"].to_string(), entry["run"].to_string()));
    Ok(entries)
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
