//! The HTML part: tables' rows as a list of terms, no remote content, light and dark.

use voicemail_model::escape_html as escape;

/// The parts of a page.
pub(crate) struct Page<'a> {
    pub language: &'a str,
    pub title: &'a str,
    /// Sentences above the messages.
    pub lead: &'a [String],
    /// One for each message.
    pub blocks: &'a [Block<'a>],
    pub footer: &'a str,
}

/// What a page says of one message.
pub(crate) struct Block<'a> {
    /// Names and values.
    pub rows: Vec<(String, String)>,
    /// Sentences below.
    pub tail: Vec<String>,
    /// Words and address of a link.
    pub link: Option<(&'a str, &'a str)>,
}

const STYLE: &str = "body{margin:0;padding:24px;font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#ffffff}\
h1{font-size:20px;margin:0 0 16px}table{border-collapse:collapse;margin:0 0 16px}\
th{text-align:left;font-weight:normal;padding:4px 16px 4px 0;color:#595959;vertical-align:top}\
td{padding:4px 0}a{color:#0b57d0}footer{font-size:13px;color:#595959}\
@media (prefers-color-scheme:dark){body{color:#f0f0f0;background:#1a1a1a}th,footer{color:#b3b3b3}a{color:#8ab4f8}}";

/// Writes the page. Lines are short enough for every server; the encoding would break longer ones anyhow.
pub(crate) fn render(page: &Page<'_>) -> String {
    let blocks: String = page.blocks.iter().map(render_block).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{lead}{blocks}</main>\n\
         <footer>{footer}</footer>\n</body>\n</html>\n",
        language = page.language,
        title = escape(page.title),
        lead = sentences(page.lead),
        footer = escape(page.footer),
    )
}

fn sentences(texts: &[String]) -> String {
    texts.iter().map(|text| format!("<p>{}</p>\n", escape(text))).collect()
}

fn render_block(block: &Block<'_>) -> String {
    let row = |(name, value): &(String, String)| {
        format!("<tr><th scope=\"row\">{}</th><td><bdi>{}</bdi></td></tr>\n", escape(name), escape(value))
    };
    let rows: String = block.rows.iter().map(row).collect();
    let table = if rows.is_empty() { String::new() } else { format!("<table>\n{rows}</table>\n") };
    let link = block.link.map_or_else(String::new, |(words, url)| {
        format!("<p><a href=\"{}\">{}</a></p>\n", escape(url), escape(words))
    });
    format!("{table}{}{link}", sentences(&block.tail))
}
