//! The export's page for people, `index.html`: self-contained, without scripts, everything stored escaped.

use crate::{escape_html as escape, minutes_and_seconds};

/// A message as the page shows it; all text as stored.
pub struct Row<'a> {
    /// Name of the file in the archive.
    pub file: &'a str,
    /// Whose it is.
    pub mailbox: &'a str,
    /// When it was left.
    pub received: &'a str,
    /// The caller's number; none if it was withheld.
    pub caller: Option<&'a str>,
    /// The caller's name, if it was shown.
    pub name: Option<&'a str>,
    /// How long it is, in milliseconds.
    pub duration_ms: u64,
}

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
    media-src 'self' file:\">\n<title>Voicemail messages</title>\n<style>body{font-family:sans-serif;margin:2em}\
    table{border-collapse:collapse}th,td{border:1px solid #999;padding:.4em .8em;text-align:left}</style>\n\
    </head>\n<body>\n";

/// The page before its rows.
pub fn head(case: &str, created: &str, messages: usize) -> String {
    format!(
        "{HEAD}<h1>Voicemail messages</h1>\n<p>Case {}, {}: {messages} messages. manifest.json describes each file.</p>\n\
         <table>\n<tr><th>Received</th><th>Mailbox</th><th>Caller</th><th>Name</th><th>Length</th><th>Audio</th></tr>\n",
        escape(case),
        escape(created),
    )
}

/// A message.
pub fn row(row: &Row<'_>) -> String {
    let file = escape(row.file);
    format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><audio controls preload=\"none\" \
         src=\"{file}\"></audio> <a href=\"{file}\">{file}</a></td></tr>\n",
        escape(row.received),
        escape(row.mailbox),
        escape(row.caller.unwrap_or("withheld")),
        escape(row.name.unwrap_or_default()),
        minutes_and_seconds(row.duration_ms),
    )
}

/// The page after its rows.
pub const TAIL: &str = "</table>\n</body>\n</html>\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_calls_himself_is_text_and_nothing_else() {
        let name = "<script>alert(\"1\")</script>&'";
        let row = Row {
            file: "a.wav",
            mailbox: "1001",
            received: "2026-01-31T12:00:00.000Z",
            caller: None,
            name: Some(name),
            duration_ms: 61_001,
        };
        let page = format!("{}{}{TAIL}", head("<b>7</b>", "now", 1), super::row(&row));
        assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;"), "{page}");
        assert!(page.contains("<td>withheld</td>") && page.contains("<td>1:02</td>"), "{page}");
    }
}
