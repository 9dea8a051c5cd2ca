//! What an operator may set. Every bound of the gateway stands here.

use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};

/// The gateway's settings. What a file leaves out has the default of [`GatewayConfig::default`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Where it listens. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// Connections at once, logged on or not. One more is refused with `ConnectionsFull`.
    pub connections_max: usize,
    /// Milliseconds of its own silence after which the gateway sends a heartbeat; clients are told to do the same.
    pub heartbeat_ms: u32,
    /// Milliseconds without a byte after which a connection is given up.
    pub timeout_ms: u32,
    /// Milliseconds that a connection has to log on.
    pub logon_timeout_ms: u32,
    /// Milliseconds that a closing connection has to take its last bytes.
    pub closing_timeout_ms: u32,
    /// Milliseconds that a stop waits for answers. After it every connection is told and closed, answered or not.
    pub stop_timeout_ms: u32,
    /// Commands a second that one connection may send on average; 0 sets no limit.
    pub rate_per_second: u32,
    /// Commands that one connection may send at once after a pause, when a rate is set.
    pub rate_burst: u32,
    /// Bytes of a connection's read buffer at most. It starts small and grows when reads fill it.
    pub read_bytes_max: usize,
    /// Unsent bytes above which a connection's events are dropped, to be replaced by a snapshot.
    pub event_bytes_max: usize,
    /// Unsent bytes above which a connection is closed with `ReplyOverflow`. Snapshots may use half of it.
    pub reply_bytes_max: usize,
    /// Topics that one connection may subscribe to.
    pub subscriptions_max: usize,
    /// Topics of which the gateway keeps track.
    pub topics_max: usize,
    /// Events kept for retransmission, over all topics.
    pub retransmission_slots: usize,
    /// Up to so many busy connections are read from directly, without asking the poller first.
    pub direct_max: usize,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7201)),
            connections_max: 4_096,
            heartbeat_ms: 1_000,
            timeout_ms: 15_000,
            logon_timeout_ms: 5_000,
            closing_timeout_ms: 1_000,
            stop_timeout_ms: 10_000,
            rate_per_second: 0,
            rate_burst: 1_000,
            read_bytes_max: 256 << 10,
            event_bytes_max: 1 << 20,
            reply_bytes_max: 8 << 20,
            subscriptions_max: 64,
            topics_max: 65_536,
            retransmission_slots: 65_536,
            direct_max: 8,
        }
    }
}
