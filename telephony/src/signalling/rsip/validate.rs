//! What a request must be before it is looked at: RFC 3261, 8.2 and 16.3, and limits of size. Pure.

/// Headers of a request that are read at most, and bytes of one.
const MOST_HEADERS: usize = 64;
const LONGEST_HEADER: usize = 8 * 1_024;
/// Options that we know.
const SUPPORTED: &[&str] = &["timer"];

/// Why a request is refused: a status and a header that explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) header: Option<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn status(status: u16) -> Self {
        Self { status, header: None }
    }
}

/// Values of a header, whatever the case of its name.
pub(super) fn values<'a>(headers: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Refuses what can't be served.
pub(super) fn check(headers: &[(String, String)]) -> Result<(), Refusal> {
    let too_long = headers.iter().any(|(name, value)| name.len() + value.len() > LONGEST_HEADER);
    if headers.len() > MOST_HEADERS || too_long {
        return Err(Refusal::status(400));
    }
    if values(headers, "Max-Forwards").any(|value| value.trim().parse::<u32>() == Ok(0)) {
        return Err(Refusal::status(483));
    }
    let required = values(headers, "Require").flat_map(|value| value.split(','));
    let unknown: Vec<&str> = required
        .map(str::trim)
        .filter(|option| {
            !option.is_empty() && !SUPPORTED.iter().any(|known| known.eq_ignore_ascii_case(option))
        })
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal { status: 420, header: Some(("Unsupported", unknown.join(", "))) })
}

/// The shortest session that is timed, in seconds (RFC 4028).
pub(super) const SHORTEST_SESSION: u32 = 90;

/// The session's length that the caller asks for: never made longer, refused when it is too short.
pub(super) fn session_expires(headers: &[(String, String)]) -> Result<Option<u32>, Refusal> {
    let asked = values(headers, "Session-Expires").next().or_else(|| values(headers, "x").next());
    let seconds = asked.and_then(|value| value.split(';').next()?.trim().parse::<u32>().ok());
    match seconds {
        Some(seconds) if seconds < SHORTEST_SESSION => {
            Err(Refusal { status: 422, header: Some(("Min-SE", SHORTEST_SESSION.to_string())) })
        }
        seconds => Ok(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn options_that_are_not_known_are_named() {
        let refusal =
            check(&headers(&[("require", "timer, 100rel"), ("Require", "answermode")])).unwrap_err();
        assert_eq!(refusal.header, Some(("Unsupported", "100rel, answermode".into())));
        assert_eq!(check(&headers(&[("Require", "timer"), ("Max-Forwards", "70")])), Ok(()));
    }

    #[test]
    fn loops_and_floods_of_headers_are_refused() {
        assert_eq!(check(&headers(&[("Max-Forwards", "0")])).unwrap_err().status, 483);
        assert_eq!(check(&headers(&[("A", "b"); 65])).unwrap_err().status, 400);
        assert_eq!(check(&headers(&[("A", &"b".repeat(9_000))])).unwrap_err().status, 400);
    }

    #[test]
    fn a_session_is_never_made_longer_and_refused_when_too_short() {
        assert_eq!(session_expires(&headers(&[("Session-Expires", "600;refresher=uac")])), Ok(Some(600)));
        assert_eq!(session_expires(&headers(&[])), Ok(None));
        let refusal = session_expires(&headers(&[("Session-Expires", "60")])).unwrap_err();
        assert_eq!((refusal.status, refusal.header), (422, Some(("Min-SE", "90".into()))));
    }
}
