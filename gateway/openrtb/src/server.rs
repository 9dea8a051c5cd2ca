//! The HTTP side: one thread, many connections.
//!
//! | request | answer |
//! |---|---|
//! | `POST /openrtb` | 200 with a bid response, 204 without a bid, 400 with the reason, 413 above the bound |
//! | `GET /win/…`, `/bill/…`, `/loss/…` below the address of notices | 204; 404 when it is none of ours; 410 when the win waits no more |

use crate::config::{Config, Creative};
use crate::notices::{Notice, Secret};
use crate::request::{Ask, AskedSlot, Floor};
use crate::response::{Bid, BidResponse, SeatBid};
use crate::session::{Engine, Job, Outcome};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use ringfence_domains::auction::messages::{
    Attribute, AuctionHeld, CurrencyId, Dimension, HoldAuction, Nanos, PlacementId, PriceModel, TARGETS_MAX, UserKey,
    WinId,
};
use ringfence_kernel::messages::Reserved;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, timeout, timeout_at};

/// How long a peer may take for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// How long the engine may take for a notice.
const NOTICE: Duration = Duration::from_secs(5);

type Answer = Response<Full<Bytes>>;

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The socket.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The HTTP side of the gateway.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    config: Config,
    creatives: HashMap<u32, usize>,
    secret: Secret,
    engine: Engine,
}

impl Server {
    /// Listens at `address`.
    ///
    /// # Errors
    /// When it cannot.
    pub fn bind(address: SocketAddr, config: Config, engine: Engine) -> Result<Self, ServerError> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let creatives = (0..).zip(&config.creatives).map(|(at, creative)| (creative.creative, at)).collect();
        let secret = Secret::new(&config.secret);
        Ok(Self { listener, config, creatives, secret, engine })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the socket does not say.
    pub fn address(&self) -> Result<SocketAddr, ServerError> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves until the process ends, on this thread.
    ///
    /// # Errors
    /// When connections can be accepted no more.
    pub fn run(self) -> Result<(), ServerError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, self.accept())
    }

    async fn accept(self) -> Result<(), ServerError> {
        let listener = tokio::net::TcpListener::from_std(self.listener.try_clone()?)?;
        let free = Arc::new(Semaphore::new(self.config.connections_max));
        let server = Rc::new(self);
        loop {
            let Ok(place) = Arc::clone(&free).acquire_owned().await else { return Ok(()) };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) if is_the_peers(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            let server = Rc::clone(&server);
            spawn_local(async move {
                let _ = stream.set_nodelay(true);
                let service = service_fn(|request| {
                    let server = Rc::clone(&server);
                    async move { Ok::<_, Infallible>(server.answer(request).await) }
                });
                let mut http = hyper::server::conn::http1::Builder::new();
                http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_headers(64);
                if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                    tracing::debug!(%error, "a connection ended");
                }
                drop(place);
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let come = Instant::now();
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/openrtb") => self.bid(request, come).await,
            (_, "/openrtb") => said(StatusCode::METHOD_NOT_ALLOWED, "bid requests are posted"),
            (&Method::GET | &Method::POST, path) => match self.secret.notice(path) {
                Some((notice, win)) => self.notice(notice, win).await,
                None => said(StatusCode::NOT_FOUND, "there is nothing here"),
            },
            _ => said(StatusCode::NOT_FOUND, "there is nothing here"),
        }
    }

    async fn notice(&self, notice: Notice, win: WinId) -> Answer {
        let job = match notice {
            Notice::Win => return empty(StatusCode::NO_CONTENT),
            Notice::Bill => Job::Impression(win),
            Notice::Loss => Job::TakeBack(win),
        };
        let Some(answer) = self.engine.ask(job) else {
            return said(StatusCode::SERVICE_UNAVAILABLE, "too much waits for the engine");
        };
        match timeout(NOTICE, answer).await {
            Ok(Ok(Outcome::NoSuchWin)) => said(StatusCode::GONE, "the win waits for no events any more"),
            Ok(Ok(Outcome::Rejected(code))) => {
                said(StatusCode::SERVICE_UNAVAILABLE, &format!("the engine refused it: {code}"))
            }
            Ok(Ok(_)) => empty(StatusCode::NO_CONTENT),
            _ => said(StatusCode::SERVICE_UNAVAILABLE, "the engine did not answer"),
        }
    }

    async fn bid(&self, request: Request<Incoming>, come: Instant) -> Answer {
        let body = Limited::new(request.into_body(), self.config.body_bytes_max);
        let body = match timeout(HEAD, body.collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return said(StatusCode::PAYLOAD_TOO_LARGE, "a bid request has fewer bytes");
            }
            _ => return said(StatusCode::BAD_REQUEST, "the body did not come"),
        };
        let ask = match Ask::parse(&body) {
            Ok(ask) => ask,
            Err(reason) => return said(StatusCode::BAD_REQUEST, &reason.to_string()),
        };
        let own = ask.currencies.is_empty() || ask.currencies.contains(&self.config.currency);
        let tmax = ask.tmax.unwrap_or(self.config.tmax_ms).min(self.config.tmax_ms);
        let Some(left) = tmax.checked_sub(self.config.margin_ms).filter(|left| *left > 0 && own && !ask.test) else {
            return empty(StatusCode::NO_CONTENT);
        };
        let until = come + Duration::from_millis(left);
        // Those of all slots are asked at once; the answers of those that come in time are bids.
        let asked: Vec<_> = ask.slots.iter().map(|slot| self.hold(&ask, slot)).collect();
        let mut won = Vec::new();
        for (slot, waiting) in ask.slots.iter().zip(asked) {
            let Some(waiting) = waiting else { continue };
            if let Ok(Ok(Outcome::Held(held))) = timeout_at(until, waiting).await {
                won.push((slot, held));
            }
        }
        // Nothing is waited for from here on: whoever leaves before leaves wins behind that are taken back.
        let mut bids = Vec::new();
        for (slot, held) in won {
            if let Some(bid) = self.offer(slot, &held.auction) {
                bids.push(bid);
                held.offered();
            }
        }
        if bids.is_empty() {
            return empty(StatusCode::NO_CONTENT);
        }
        let response = BidResponse { id: &ask.id, seatbid: [SeatBid { bid: bids }], cur: &self.config.currency };
        match serde_json::to_vec(&response) {
            Ok(bytes) => {
                let mut answer = Response::new(Full::new(Bytes::from(bytes)));
                answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                answer.headers_mut().insert("x-openrtb-version", HeaderValue::from_static("2.6"));
                answer
            }
            Err(error) => said(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    /// Asks the engine for a bid for a slot; none when the slot is not ours, or too much waits.
    fn hold(&self, ask: &Ask, slot: &AskedSlot) -> Option<oneshot::Receiver<Outcome>> {
        let placement = PlacementId(*self.config.placements.get(&slot.tag)?);
        let currency = self.currency(&slot.floor.currency)?;
        let attributes = self.attributes(ask, slot)?;
        // In a private auction what is open does not reach the floor, whatever its currency is worth; deals have their own.
        let floor = if slot.private { Nanos(u64::MAX) } else { Nanos(slot.floor.nanos) };
        let user = ask.user.as_deref().map_or(UserKey(0), |id| self.secret.user(id));
        let command = HoldAuction { user, floor, placement, currency, reserved: Reserved::default() };
        self.engine.ask(Job::Auction(command, attributes))
    }

    fn currency(&self, code: &str) -> Option<CurrencyId> {
        match code {
            _ if code == self.config.currency => Some(CurrencyId(0)),
            _ => self.config.currencies.get(code).map(|number| CurrencyId(*number)),
        }
    }

    /// What has numbers of what a request says, in the engine's order. What blocks must all be there; of the rest there is
    /// room for so many. None when a deal's floor is in another currency than the slot's.
    fn attributes(&self, ask: &Ask, slot: &AskedSlot) -> Option<Vec<Attribute>> {
        let blocks = |dimension: Dimension| {
            matches!(dimension, Dimension::AdCategory | Dimension::AdDomain | Dimension::AdAttribute)
        };
        let number = |(dimension, text): &(Dimension, String)| {
            self.engine.names.number(*dimension, text).map(|value| ((*dimension, value), 0))
        };
        let all = || ask.names.iter().chain(&slot.names);
        let mut found: BTreeMap<(Dimension, u32), u64> =
            all().filter(|(dimension, _)| blocks(*dimension)).filter_map(number).collect();
        if found.len() > TARGETS_MAX {
            return None;
        }
        for (id, Floor { nanos, currency }) in &slot.deals {
            if *currency != slot.floor.currency {
                return None;
            }
            if let Some(value) = self.engine.names.number(Dimension::Deal, id) {
                // A deal's own floor, whether it is above the slot's or below; without one the slot's.
                let floor = if *nanos > 0 { *nanos } else { slot.floor.nanos };
                found.insert((Dimension::Deal, value), floor.max(1));
            }
        }
        let rest = all().filter(|(dimension, _)| !blocks(*dimension)).filter_map(number);
        for (key, amount) in rest {
            if found.len() >= TARGETS_MAX {
                break;
            }
            found.entry(key).or_insert(amount);
        }
        let attribute = |((dimension, value), amount): ((Dimension, u32), u64)| Attribute {
            amount: Nanos(amount),
            value,
            dimension: dimension.into(),
            reserved: Reserved::default(),
        };
        (found.len() <= TARGETS_MAX).then(|| found.into_iter().map(attribute).collect())
    }

    /// The bid of a win; none for one that an exchange cannot use: it has no creative here, or pays for something else than
    /// impressions.
    fn offer<'a>(&'a self, slot: &'a AskedSlot, held: &AuctionHeld) -> Option<Bid<'a>> {
        if held.item.0 == 0 {
            return None;
        }
        let creative = self.creatives.get(&held.creative.0).map(|at| &self.config.creatives[*at]);
        let Some(Creative { creative, adm, adomain, cat, w, h }) =
            creative.filter(|_| held.pays.get() == PriceModel::Cpm)
        else {
            tracing::warn!(item = held.item.0, creative = held.creative.0, "a win that no exchange can use");
            return None;
        };
        let address = |notice| self.secret.address(&self.config.notices, notice, held.win);
        Some(Bid {
            id: held.win.0.to_string(),
            impid: &slot.id,
            price: Bid::price(held.price.0),
            nurl: address(Notice::Win),
            burl: address(Notice::Bill),
            lurl: address(Notice::Loss),
            adm,
            adomain,
            cat,
            cid: held.item.0.to_string(),
            crid: creative.to_string(),
            w: *w,
            h: *h,
            dealid: match slot.deals.as_slice() {
                [(id, _)] if slot.private => Some(id),
                _ => None,
            },
        })
    }
}

/// Whether accepting failed because of who connected.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

fn said(status: StatusCode, reason: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(format!("{reason}\n"))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
