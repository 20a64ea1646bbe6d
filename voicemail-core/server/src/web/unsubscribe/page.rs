//! The small page about the end of mails, in five languages: no script, nothing loaded, and nothing of the reader. Pure.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// What the page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Whether mails are to end.
    Question,
    /// They have.
    Done,
    /// The link is of an address or a mailbox of before.
    Former,
    /// It isn't one of ours.
    Unknown,
}

/// The words of one language.
struct Words {
    code: &'static str,
    title: &'static str,
    question: &'static str,
    button: &'static str,
    done: &'static str,
    former: &'static str,
    unknown: &'static str,
}

/// English stands first, and in for every other language.
const WORDS: [Words; 5] = [
    Words {
        code: "en",
        title: "E-mails about new messages",
        question: "Do you want no more e-mails about new voicemail messages at this address?",
        button: "No more e-mails",
        done: "No more e-mails about new messages are sent to this address. You can have them again in the settings of the Inbox.",
        former: "This link has no effect any more: the address or the mailbox has changed since. The newest e-mail has one that counts.",
        unknown: "This link isn’t complete. Open it from the e-mail again.",
    },
    Words {
        code: "de",
        title: "E-Mails über neue Nachrichten",
        question: "Möchten Sie an dieser Adresse keine E-Mails über neue Sprachnachrichten mehr bekommen?",
        button: "Keine E-Mails mehr",
        done: "An diese Adresse gehen keine E-Mails über neue Nachrichten mehr. In den Einstellungen der Inbox können Sie sie wieder bekommen.",
        former: "Dieser Link bewirkt nichts mehr: Adresse oder Postfach haben sich seither geändert. In der neuesten E-Mail steht einer, der gilt.",
        unknown: "Dieser Link ist nicht vollständig. Öffnen Sie ihn noch einmal aus der E-Mail.",
    },
    Words {
        code: "es",
        title: "Correos sobre mensajes nuevos",
        question: "¿Quiere dejar de recibir en esta dirección correos sobre mensajes de voz nuevos?",
        button: "No recibir más correos",
        done: "Ya no se envían a esta dirección correos sobre mensajes nuevos. Puede volver a recibirlos en los ajustes de la bandeja.",
        former: "Este enlace ya no tiene efecto: la dirección o el buzón han cambiado desde entonces. El correo más reciente tiene uno que sirve.",
        unknown: "Este enlace no está completo. Ábralo otra vez desde el correo.",
    },
    Words {
        code: "fr",
        title: "E-mails sur les nouveaux messages",
        question: "Voulez-vous ne plus recevoir à cette adresse d’e-mails sur les nouveaux messages vocaux ?",
        button: "Ne plus recevoir d’e-mails",
        done: "Plus aucun e-mail sur de nouveaux messages n’est envoyé à cette adresse. Les réglages de la boîte permettent d’en recevoir à nouveau.",
        former: "Ce lien n’a plus d’effet : l’adresse ou la boîte a changé depuis. L’e-mail le plus récent en contient un qui compte.",
        unknown: "Ce lien n’est pas complet. Ouvrez-le à nouveau depuis l’e-mail.",
    },
    Words {
        code: "it",
        title: "E-mail sui nuovi messaggi",
        question: "Non vuole più ricevere a questo indirizzo e-mail sui nuovi messaggi vocali?",
        button: "Niente più e-mail",
        done: "A questo indirizzo non si inviano più e-mail sui nuovi messaggi. Può riceverle di nuovo dalle impostazioni della casella.",
        former: "Questo link non ha più effetto: l’indirizzo o la casella sono cambiati da allora. L’e-mail più recente ne ha uno valido.",
        unknown: "Questo link non è completo. Lo apra di nuovo dall’e-mail.",
    },
];

/// The browser says which languages it prefers, the first of them first (RFC 9110, 12.5.4).
fn words(headers: &HeaderMap) -> &'static Words {
    let given = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let mut tags = given
        .unwrap_or_default()
        .split(',')
        .map(|tag| tag.split(['-', ';']).next().unwrap_or_default().trim().to_ascii_lowercase());
    let [english, ..] = &WORDS;
    tags.find_map(|tag| WORDS.iter().find(|words| words.code == tag)).unwrap_or(english)
}

/// The page's form goes to where the page is from, and nothing else may happen on it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);
/// The address is the click: nobody else's log is to have it.
const OF_THE_PAGE: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow")),
];

/// The page that says it.
pub(super) fn say(status: StatusCode, headers: &HeaderMap, said: Said) -> Response {
    let words = words(headers);
    let (sentence, form) = match said {
        Said::Question => (words.question, form(words)),
        Said::Done => (words.done, String::new()),
        Said::Former => (words.former, String::new()),
        Said::Unknown => (words.unknown, String::new()),
    };
    let (code, title) = (words.code, words.title);
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"{code}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{sentence}</p>\n{form}</main>\n</body>\n</html>\n"
    );
    (status, OF_THE_PAGE, page).into_response()
}

/// What a mail program sends, as a form.
fn form(words: &Words) -> String {
    let button = words.button;
    format!(
        "<form method=\"post\">\n<input type=\"hidden\" name=\"List-Unsubscribe\" value=\"One-Click\">\n\
         <button>{button}</button>\n</form>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_speaks_the_first_language_of_the_browser_that_there_is() {
        for (given, code) in
            [("de-AT,en;q=0.5", "de"), ("pl, fr;q=0.9", "fr"), ("pl", "en"), ("", "en"), ("IT", "it")]
        {
            let headers = HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, given.parse().unwrap())]);
            assert_eq!(words(&headers).code, code, "{given}");
        }
        assert_eq!(words(&HeaderMap::new()).code, "en");
    }
}
