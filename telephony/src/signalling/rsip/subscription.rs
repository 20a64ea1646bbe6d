//! Subscriptions over rsipstack's transactions. The stack's own dialog for them stops notifying after a renewal, so the
//! dialog's state (tags, numbers, route) is ours here.

use super::call::other;
use super::party::{Names, Party};
use super::validate::{Refusal, values};
use super::{Shared, finish, headers_of, party_of, refuse, transport_of};
use crate::config::Transport;
use crate::signalling::evidence::Evidence;
use crate::signalling::identity::Identity;
use crate::signalling::{Incoming, IncomingSubscription, SipError, Subscriber};
use async_trait::async_trait;
use parking_lot::Mutex;
use rsipstack::sip::{
    Header, Method, Request, Response, SipMessage, StatusCode, StatusCodeKind, Uri, Version,
};
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::{SipAddr, SipConnection};
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
    /// The connection that carries the subscription, while it is open; another one is opened to the phone's Contact else.
    fn open_connection(&self) -> Option<SipConnection> {
        let connection = self.connection.as_ref()?;
        let over =
            connection.is_reliable() && connection.cancel_token().is_some_and(|token| token.is_cancelled());
        (!over).then(|| connection.clone())
    }

    fn dialog_of(&self, transaction: &Transaction) -> Option<Dialog> {
        let headers = headers_of(&transaction.original.headers);
        let to = values(&headers, "From").next()?.to_owned();
        let contact = values(&headers, "Contact").next()?;
        let uri = match contact.split_once('<') {
            Some((_, rest)) => rest.split_once('>')?.0,
            None => contact.split(';').next()?,
        };
        Some(Dialog {
            contact: self.shared.contact_for(transaction),
            names: names(&headers)?,
            target: Uri::try_from(uri).ok()?,
            route: values(&headers, "Record-Route").map(str::to_owned).collect(),
            from: values(&headers, "To").next()?.to_owned(),
            to,
        })
    }

    fn request(&mut self, state: &str, body: &str) -> Result<Request, SipError> {
        let dialog = self.dialog.as_ref().ok_or(SipError::Over)?;
        self.number += 1;
        let own = own_address(&self.shared, self.connection.as_ref().map_or(Transport::Udp, transport_of));
        let via = self.shared.endpoint.get_via(own, None).map_err(|_| SipError::NotSent)?;
        let mut headers = vec![Header::Via(via.into())];
        headers.extend(dialog.route.iter().map(|route| other("Route", route.clone())));
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

/// Where we are reached by a transport; the first listener's for datagrams.
pub(super) fn own_address(shared: &Shared, transport: Transport) -> Option<SipAddr> {
    let listeners = shared.endpoint.transport_layer.get_listen_addrs();
    listeners.into_iter().find(|own| match transport {
        Transport::Udp => false,
        Transport::Tcp => own.r#type == Some(rsipstack::sip::Transport::Tcp),
        Transport::Tls => own.r#type == Some(rsipstack::sip::Transport::Tls),
    })
}

/// Sends a request and waits for the status of its answer.
pub(super) async fn send(
    endpoint: &EndpointInnerRef,
    connection: Option<SipConnection>,
    to: Option<SipAddr>,
    request: Request,
) -> Result<u16, SipError> {
    ask(endpoint, connection, to, request).await.map(|response| response.status_code.code())
}

/// Sends a request and waits for its answer; the one to a subscriber goes to where the subscriber's came from,
/// which is the proxy between if there is one.
pub(super) async fn ask(
    endpoint: &EndpointInnerRef,
    connection: Option<SipConnection>,
    to: Option<SipAddr>,
    request: Request,
) -> Result<Response, SipError> {
    let key =
        TransactionKey::from_request(&request, TransactionRole::Client).map_err(|_| SipError::NotSent)?;
    let mut transaction = Transaction::new_client(key, request, endpoint.clone(), connection);
    transaction.destination = to;
    transaction.send().await.map_err(|_| SipError::NotSent)?;
    while let Some(message) = transaction.receive().await {
        if let SipMessage::Response(response) = message
            && response.status_code.kind() != StatusCodeKind::Provisional
        {
            return Ok(response);
        }
    }
    Err(SipError::NotSent)
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
        let connection = self.open_connection();
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
