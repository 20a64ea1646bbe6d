//! Subscriptions over rsipstack's transactions. The stack's own dialog for them stops notifying after a renewal, so the
//! dialog's state (tags, numbers, route) is ours here.

use super::asking::{open_connection, send, via};
use super::call::other;
use super::outbound::{goes_by_outbound, routes_of};
use super::party::{Names, Party};
use super::validate::{Refusal, values};
use super::{Shared, finish, headers_of, party_of, refuse, transport_by, transport_of};
use crate::config::Transport;
use crate::signalling::evidence::Evidence;
use crate::signalling::identity::Identity;
use crate::signalling::{Incoming, IncomingSubscription, SipError, Subscriber};
use async_trait::async_trait;
use parking_lot::Mutex;
use rsipstack::sip::{Header, Method, Request, StatusCode, Uri, Version};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::SipConnection;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The one package that is served (RFC 3842).
pub(super) const PACKAGE: &str = "message-summary";
const USUAL: u32 = 3_600;
const LONGEST: u32 = 3_600;
const SHORTEST: u32 = 60;
/// Subscriptions of all phones.
const MOST: usize = 20_000;

/// The other side of each subscription, and who is told of its renewals.
pub(super) type Table = Mutex<HashMap<Names, (Party, mpsc::UnboundedSender<Duration>)>>;

/// The time that is granted, by the header Expires.
fn granted(headers: &[(String, String)]) -> Result<Duration, Refusal> {
    let package = values(headers, "Event").next().and_then(|value| value.split(';').next());
    if package.map(str::trim) != Some(PACKAGE) {
        return Err(Refusal { status: 489, header: Some(("Allow-Events", PACKAGE.into())) });
    }
    let asked =
        values(headers, "Expires").next().and_then(|value| value.trim().parse().ok()).unwrap_or(USUAL);
    if (1..SHORTEST).contains(&asked) {
        return Err(Refusal { status: 423, header: Some(("Min-Expires", SHORTEST.to_string())) });
    }
    Ok(Duration::from_secs(u64::from(asked.min(LONGEST))))
}

fn names(headers: &[(String, String)]) -> Option<Names> {
    let call = values(headers, "Call-ID").next().or_else(|| values(headers, "i").next())?;
    Some((call.to_owned(), tag_of(values(headers, "To").next()?)?))
}

fn tag_of(value: &str) -> Option<String> {
    let tag = value.split(';').find_map(|part| part.trim().strip_prefix("tag="))?;
    Some(tag.to_owned())
}

fn expires(time: Duration) -> Header {
    other("Expires", time.as_secs().to_string())
}

/// A SUBSCRIBE within a subscription: a renewal, or its end.
pub(super) async fn renew(shared: &Shared, mut transaction: Transaction, headers: &[(String, String)]) {
    let told = |names: Names| shared.subscriptions.lock().get(&names).map(|(_, tell)| tell.clone());
    let known = names(headers).and_then(told);
    match (known, granted(headers)) {
        (None, _) => refuse(&mut transaction, &Refusal::status(481)).await,
        (_, Err(refusal)) => refuse(&mut transaction, &refusal).await,
        (Some(tell), Ok(time)) => {
            let contact = shared.contact_for(&transaction);
            let headers = vec![expires(time), other("Contact", format!("<{contact}>"))];
            if transaction.reply_with(StatusCode::OK, headers, None).await.is_err() {
                tracing::debug!("a renewal couldn't be answered");
            }
            // After the answer, so that the notification doesn't overtake it. Who is gone meanwhile asks again.
            let _ = tell.send(time);
        }
    }
    finish(transaction).await;
}

/// A SUBSCRIBE that begins one.
pub(super) async fn begin(
    shared: &Arc<Shared>,
    mut transaction: Transaction,
    headers: Vec<(String, String)>,
) {
    match prepare(shared, &transaction, &headers) {
        Ok((trunk, party, time)) => {
            let evidence = Evidence::read(&transaction.original.uri.to_string(), &headers);
            let identity = Identity::read(&headers, shared.trusts(&trunk));
            let subscriber = Box::new(RsipSubscriber {
                shared: Arc::clone(shared),
                connection: transaction.connection.clone(),
                transaction: Some(transaction),
                time,
                party,
                dialog: None,
                renewals: None,
                number: 0,
            });
            let asked = evidence.request.as_ref().and_then(|address| address.number().map(str::to_owned));
            let incoming = IncomingSubscription { trunk, asked, identity, time, subscriber };
            // Nobody takes subscriptions any more: the process ends.
            let _ = shared.tell.send(Incoming::Subscription(Box::new(incoming)));
        }
        Err(refusal) => {
            refuse(&mut transaction, &refusal).await;
            finish(transaction).await;
        }
    }
}

fn prepare(
    shared: &Shared,
    transaction: &Transaction,
    headers: &[(String, String)],
) -> Result<(String, Party, Duration), Refusal> {
    if shared.is_draining() || shared.subscriptions.lock().len() >= MOST {
        return Err(super::unavailable());
    }
    let trunk = shared.trunk_of(transaction.connection.as_ref()).ok_or_else(|| Refusal::status(403))?;
    Ok((trunk.name.clone(), party_of(transaction, trunk)?, granted(headers)?))
}

/// Our side of a subscription's dialog.
struct Dialog {
    names: Names,
    target: Uri,
    route: Vec<String>,
    /// Whether it goes by the trunk's outbound proxy, not to where the subscription came from.
    by_outbound: bool,
    contact: Uri,
    /// Ours and theirs, with tags, as they stand in a NOTIFY.
    from: String,
    to: String,
}

struct RsipSubscriber {
    shared: Arc<Shared>,
    connection: Option<SipConnection>,
    transaction: Option<Transaction>,
    time: Duration,
    party: Party,
    dialog: Option<Dialog>,
    renewals: Option<mpsc::UnboundedReceiver<Duration>>,
    number: u32,
}

impl RsipSubscriber {
    fn dialog_of(&self, transaction: &Transaction) -> Option<Dialog> {
        let headers = headers_of(&transaction.original.headers);
        let to = values(&headers, "From").next()?.to_owned();
        let contact = values(&headers, "Contact").next()?;
        let trunk = self.shared.trunk_of(transaction.connection.as_ref())?;
        let uri = match contact.split_once('<') {
            Some((_, rest)) => rest.split_once('>')?.0,
            None => contact.split(';').next()?,
        };
        Some(Dialog {
            contact: self.shared.contact_for(transaction),
            names: names(&headers)?,
            target: Uri::try_from(uri).ok()?,
            by_outbound: goes_by_outbound(&headers, trunk),
            route: routes_of(&headers, trunk, transport_by(transaction)),
            from: values(&headers, "To").next()?.to_owned(),
            to,
        })
    }

    fn request(&mut self, state: &str, body: &str) -> Result<Request, SipError> {
        let dialog = self.dialog.as_ref().ok_or(SipError::Over)?;
        self.number += 1;
        let transport = self.connection.as_ref().map_or(Transport::Udp, transport_of);
        let peer = self.shared.peer_of(self.connection.as_ref());
        let via = via(&self.shared, transport, peer)?;
        let mut headers = vec![Header::Via(via.into())];
        headers.extend(dialog.route.iter().map(|route| Header::Route(route.clone().into())));
        headers.extend([
            Header::From(dialog.from.clone().into()),
            Header::To(dialog.to.clone().into()),
            Header::CallId(dialog.names.0.clone().into()),
            Header::CSeq(format!("{} NOTIFY", self.number).into()),
            Header::MaxForwards(70.into()),
            other("Contact", format!("<{}>", dialog.contact)),
            other("Event", PACKAGE),
            other("Subscription-State", state),
            Header::ContentType("application/simple-message-summary".into()),
            Header::ContentLength(u32::try_from(body.len()).unwrap_or_default().into()),
        ]);
        let (uri, body) = (dialog.target.clone(), body.as_bytes().to_vec());
        Ok(Request { method: Method::Notify, uri, headers: headers.into(), body, version: Version::V2 })
    }
}

#[async_trait]
impl Subscriber for RsipSubscriber {
    async fn accept(&mut self) -> Result<(), SipError> {
        let mut transaction = self.transaction.take().ok_or(SipError::Over)?;
        let contact = self.shared.contact_for(&transaction);
        let headers = vec![expires(self.time), other("Contact", format!("<{contact}>"))];
        transaction.reply_with(StatusCode::OK, headers, None).await.map_err(|_| SipError::NotSent)?;
        // The reply has put our tag into the request's To.
        let dialog = self.dialog_of(&transaction).ok_or(SipError::Description)?;
        let (tell, renewals) = mpsc::unbounded_channel();
        self.shared.subscriptions.lock().insert(dialog.names.clone(), (self.party.clone(), tell));
        (self.dialog, self.renewals) = (Some(dialog), Some(renewals));
        tokio::spawn(finish(transaction));
        Ok(())
    }

    async fn refuse(mut self: Box<Self>, status: u16) {
        if let Some(mut transaction) = self.transaction.take() {
            refuse(&mut transaction, &Refusal::status(status)).await;
            tokio::spawn(finish(transaction));
        }
    }

    async fn notify(&mut self, state: &str, body: &str) -> Result<(), SipError> {
        let request = self.request(state, body)?;
        let by_outbound = self.dialog.as_ref().is_some_and(|dialog| dialog.by_outbound);
        // The proxy is the request's first route.
        let connection =
            self.connection.as_ref().and_then(open_connection).filter(|it| it.is_reliable() || !by_outbound);
        let to = match &connection {
            Some(SipConnection::Udp(connection)) => connection.get_remote_addr().cloned(),
            _ => None,
        };
        match send(&self.shared.endpoint, connection, to, request).await? {
            // Those that end a subscription (RFC 6665, 4.2.2); all else is the phone's own trouble.
            404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604 => Err(SipError::Over),
            _ => Ok(()),
        }
    }

    async fn renewed(&mut self) -> Option<Duration> {
        match &mut self.renewals {
            Some(renewals) => renewals.recv().await,
            None => None,
        }
    }
}

impl Drop for RsipSubscriber {
    fn drop(&mut self) {
        if let Some(dialog) = &self.dialog {
            self.shared.subscriptions.lock().remove(&dialog.names);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn the_time_is_shortened_to_an_hour_and_refused_below_a_minute() {
        let event = ("Event", "message-summary;id=1");
        let seconds = |text: &str| granted(&headers(&[event, ("Expires", text)])).map(|time| time.as_secs());
        assert_eq!((seconds("600"), seconds("0"), seconds("86400")), (Ok(600), Ok(0), Ok(3_600)));
        assert_eq!(granted(&headers(&[event])).unwrap().as_secs(), 3_600);
        assert_eq!(seconds("59").unwrap_err().header, Some(("Min-Expires", "60".into())));
        let other = granted(&headers(&[("Event", "presence")])).unwrap_err();
        assert_eq!((other.status, other.header), (489, Some(("Allow-Events", "message-summary".into()))));
    }

    #[test]
    fn a_subscription_is_found_by_call_and_tag() {
        let known = names(&headers(&[("call-id", "x@y"), ("to", "<sip:1001@pbx>;tag=abc")]));
        assert_eq!(known, Some(("x@y".into(), "abc".into())));
    }
}
