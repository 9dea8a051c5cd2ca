//! The HTTP side: one thread, many connections, and the session with the engine beside them.
//!
//! | request | answer |
//! |---|---|
//! | `POST /openrtb` | 200 with a bid response, 204 without a bid, 400 with the reason, 413 above the bound |
//! | `GET /win/…`, `/bill/…`, `/loss/…` below the address of notices | 204; 404 when it is none of ours; 409 when it was billed; 410 when the win waits no more |

use crate::bidding::Bidder;
use crate::config::Config;
use crate::connection::Connection;
use crate::notices::Notice;
use crate::request::Ask;
use crate::response::{BidResponse, SeatBid};
use crate::session::{Desk, Engine, Outcome, Session, Told, run};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use ringfence_client::Client;
use ringfence_domains::auction::messages::WinId;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long a peer may take for the head of a request, and for reading on.
const HEAD: Duration = Duration::from_secs(10);
/// How long the engine may take for a notice.
const NOTICE: Duration = Duration::from_secs(5);
/// Files that the process has open beside its connections, at most.
const OTHER_FILES: u64 = 64;
/// How long to wait for room when no connection can be accepted.
const PAUSE: Duration = Duration::from_millis(50);

type Answer = Response<Full<Bytes>>;

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The socket.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The engine is lost for good.
    #[error("the engine: {0}")]
    Engine(#[from] ringfence_client::Error),
}

/// The gateway.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    config: Config,
    session: Session,
}

impl Server {
    /// Listens at `address`.
    ///
    /// # Errors
    /// When it cannot.
    pub fn bind(address: SocketAddr, config: Config, session: Session) -> Result<Self, ServerError> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, config, session })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the socket does not say.
    pub fn address(&self) -> Result<SocketAddr, ServerError> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves until the engine is lost for good, on this thread.
    ///
    /// # Errors
    /// When it is.
    pub fn run(self) -> Result<(), ServerError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let Self { listener, config, session } = self;
        let (desk, client) = session.share();
        LocalSet::new().block_on(&runtime, serve(listener, config, desk, client))
    }
}

async fn serve(listener: TcpListener, config: Config, desk: Desk, client: Client) -> Result<(), ServerError> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let free = Arc::new(Semaphore::new(connections(config.connections_max)));
    let engine = Rc::clone(&desk.engine);
    let service = Rc::new(Service { bidder: Bidder::new(config, &engine), engine });
    spawn_local(async move {
        loop {
            let Ok(place) = Arc::clone(&free).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = converse(Rc::clone(&service), stream);
                    spawn_local(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) if is_the_peers(&error) => {}
                // What is short now, files or memory, may be there again.
                Err(error) => {
                    tracing::warn!(%error, "no connection is accepted just now");
                    sleep(PAUSE).await;
                }
            }
        }
    });
    Ok(run(desk, client).await?)
}

/// How many connections there can be: no more than the process may open files, which is raised as far as it may be.
fn connections(wanted: usize) -> usize {
    let files = wanted as u64 + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= files) {
        return wanted;
    }
    let raised = maximum.map_or(files, |maximum| maximum.min(files));
    let now = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
        Ok(()) => raised,
        Err(_) => current.unwrap_or(raised),
    };
    let most = wanted.min(now.saturating_sub(OTHER_FILES).max(1) as usize);
    if most < wanted {
        tracing::warn!(wanted, most, "the process may not open as many files as there are to be connections");
    }
    most
}

/// Answers what comes over a connection, until it ends.
async fn converse(service: Rc<Service>, stream: tokio::net::TcpStream) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(|request| {
        let service = Rc::clone(&service);
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_headers(64);
    if let Err(error) = http.serve_connection(TokioIo::new(Connection::new(stream, HEAD)), answer).await {
        tracing::debug!(%error, "a connection ended");
    }
}

/// What answers requests.
struct Service {
    bidder: Bidder,
    engine: Rc<Engine>,
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let come = Instant::now();
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/openrtb") => self.bid(request, come).await,
            (_, "/openrtb") => said(StatusCode::METHOD_NOT_ALLOWED, "bid requests are posted"),
            (&Method::GET | &Method::POST, path) => match self.bidder.secret().notice(path) {
                Some((notice, win)) => self.notice(notice, win).await,
                None => said(StatusCode::NOT_FOUND, "there is nothing here"),
            },
            _ => said(StatusCode::NOT_FOUND, "there is nothing here"),
        }
    }

    async fn notice(&self, notice: Notice, win: WinId) -> Answer {
        let told = match notice {
            Notice::Win => return empty(StatusCode::NO_CONTENT),
            Notice::Bill => Told::Impression(win),
            Notice::Loss => Told::Lost(win),
        };
        let Some(answer) = self.engine.tell(told, Instant::now() + NOTICE) else {
            return said(StatusCode::SERVICE_UNAVAILABLE, "too much waits for the engine");
        };
        match timeout(NOTICE, answer).await {
            Ok(Ok(Outcome::NoSuchWin)) => said(StatusCode::GONE, "the win waits for no events any more"),
            Ok(Ok(Outcome::Billed)) => said(StatusCode::CONFLICT, "the win was billed"),
            Ok(Ok(Outcome::Rejected(code))) => {
                said(StatusCode::SERVICE_UNAVAILABLE, &format!("the engine refused it: {code}"))
            }
            Ok(Ok(_)) => empty(StatusCode::NO_CONTENT),
            _ => said(StatusCode::SERVICE_UNAVAILABLE, "the engine did not answer"),
        }
    }

    async fn bid(&self, request: Request<Incoming>, come: Instant) -> Answer {
        let config = self.bidder.config();
        let body = Limited::new(request.into_body(), config.body_bytes_max);
        let body = match timeout(HEAD, body.collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return said(StatusCode::PAYLOAD_TOO_LARGE, "a bid request has fewer bytes");
            }
            _ => return said(StatusCode::BAD_REQUEST, "the body did not come"),
        };
        let ask = match Ask::parse(&body, config.bidder.as_deref(), &self.engine.names.borrow()) {
            Ok(ask) => ask,
            Err(reason) => return said(StatusCode::BAD_REQUEST, &reason.to_string()),
        };
        let own = ask.currencies.is_empty() || ask.currencies.iter().any(|code| code.as_str() == config.currency);
        let tmax = ask.tmax.unwrap_or(config.tmax_ms).min(config.tmax_ms);
        let until = come + Duration::from_millis(tmax.saturating_sub(config.margin_ms));
        if !own || ask.test || !self.engine.is_ready() || until <= Instant::now() {
            return empty(StatusCode::NO_CONTENT);
        }
        // Those of all slots are asked at once; the answers of those that come in time are bids.
        let user = self.bidder.user(&ask);
        let asked: Vec<_> =
            ask.slots.iter().filter_map(|slot| Some((slot, self.bidder.hold(&ask, slot, user)?))).collect();
        let mut won = Vec::new();
        let _ = timeout_at(until, async {
            for (slot, waiting) in asked {
                if let Ok(Outcome::Held(held)) = waiting.await {
                    won.extend(held.into_iter().map(|won| (slot, won)));
                }
            }
        })
        .await;
        // Nothing is waited for from here on: whoever leaves before leaves wins behind that are taken back.
        let mut bids = Vec::with_capacity(won.len());
        for (slot, won) in won {
            if let Some(bid) = self.bidder.offer(slot, &won.slot) {
                bids.push(bid);
                won.offered();
            }
        }
        if bids.is_empty() {
            return empty(StatusCode::NO_CONTENT);
        }
        let response = BidResponse { id: ask.id.as_str(), seatbid: [SeatBid { bid: bids }], cur: &config.currency };
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
