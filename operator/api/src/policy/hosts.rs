//! The host that a URL leads to, and whether a list names it. Pure.
//!
//! What can go wrong: a URL that two programs read differently, so that one allows a host and the other calls another.
//! So what has anything in its place that no host has, is on no list.

/// The host of a URL in lower case; none for what isn't plainly one.
pub(super) fn host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']')?;
            (host, port.strip_prefix(':').unwrap_or(port))
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ['.', '-', ':'].contains(&c);
    let plain = !host.is_empty() && host.chars().all(is_plain) && port.chars().all(|c| c.is_ascii_digit());
    plain.then(|| host.to_ascii_lowercase())
}

/// Whether the list names that host, or an end of its name behind a dot.
pub(super) fn names(list: &[String], host: &str) -> bool {
    list.iter()
        .any(|entry| if entry.starts_with('.') { host.ends_with(entry.as_str()) } else { host == entry })
}

/// Whether a URL is one of the list, or below one.
pub(super) fn is_below(list: &[String], url: &str) -> bool {
    list.iter().any(|top| {
        let rest = url.strip_prefix(top.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || top.ends_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_a_client_connects_to_or_nothing() {
        for (url, expected) in [
            ("https://Store.example:9000/x", Some("store.example")),
            ("https://store.example", Some("store.example")),
            ("http://[fd00::1]:9000/x", Some("fd00::1")),
            ("https://store.example@evil.example/", None),
            ("https://store.example:9000@evil.example/", None),
            ("https://evil.example\\.store.example/", Some("evil.example")),
            ("https://evil.example#.store.example", Some("evil.example")),
            ("https://evil%2eexample/", None),
            ("https:///x", None),
            ("store.example", None),
        ] {
            assert_eq!(host(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_dot_names_the_end_of_hosts_and_nothing_that_only_looks_so() {
        let list = [".blob.core.windows.net".to_owned(), "minio.storage.svc".to_owned()];
        for (host, expected) in [
            ("acme.blob.core.windows.net", true),
            ("evilblob.core.windows.net", false),
            ("minio.storage.svc", true),
            ("a.minio.storage.svc", false),
            ("minio.storage.svc.evil.example", false),
        ] {
            assert_eq!(names(&list, host), expected, "{host}");
        }
    }

    #[test]
    fn below_an_issuer_is_behind_a_slash() {
        let list = ["https://id.example".to_owned(), "https://login.example/acme/".to_owned()];
        for (url, expected) in [
            ("https://id.example", true),
            ("https://id.example/keys", true),
            ("https://id.example.evil/keys", false),
            ("https://id.example:8443/keys", false),
            ("https://login.example/acme/keys", true),
            ("https://login.example/other/keys", false),
        ] {
            assert_eq!(is_below(&list, url), expected, "{url}");
        }
    }
}
