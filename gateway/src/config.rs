//! What an operator may set. Every bound of the gateway stands here.

use ringfence_kernel::image::COMMAND_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};

/// Unsent bytes that a connection must be allowed at least: 256 of the longest answers.
const REPLY_BYTES_LEAST: usize = 64 << 10;

/// A setting with which the gateway would not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("gateway: {field} is {value}, and must be {rule}")]
pub struct ConfigError {
    /// The setting.
    pub field: &'static str,
    /// What it is.
    pub value: u64,
    /// What it must be.
    pub rule: &'static str,
}

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
    /// Bytes of a connection's read buffer at most. It starts small and grows when reads fill it. It must hold two of
    /// the longest commands.
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

impl GatewayConfig {
    /// Looks for settings with which the gateway would hang, close everybody or refuse everything.
    ///
    /// # Errors
    /// [`ConfigError`] names the first one.
    pub fn check(&self) -> Result<(), ConfigError> {
        let read_least = 2 * COMMAND_BYTES_MAX as u64;
        let reply_least = self.event_bytes_max.max(REPLY_BYTES_LEAST) as u64;
        let burst_least = u64::from(self.rate_per_second > 0);
        let (heartbeat_ms, timeout_ms) = (self.heartbeat_ms.into(), self.timeout_ms.into());
        for (field, value, least, rule) in [
            ("connections_max", self.connections_max as u64, 1, "1 or more"),
            ("heartbeat_ms", heartbeat_ms, 1, "1 or more"),
            ("timeout_ms", timeout_ms, heartbeat_ms + 1, "more than heartbeat_ms"),
            ("logon_timeout_ms", self.logon_timeout_ms.into(), 1, "1 or more"),
            ("closing_timeout_ms", self.closing_timeout_ms.into(), 1, "1 or more"),
            ("rate_burst", self.rate_burst.into(), burst_least, "1 or more when rate_per_second is set"),
            ("read_bytes_max", self.read_bytes_max as u64, read_least, "65536 or more: two of the longest commands"),
            ("event_bytes_max", self.event_bytes_max as u64, 256, "256 or more: the longest event"),
            (
                "reply_bytes_max",
                self.reply_bytes_max as u64,
                reply_least,
                "65536 or more, and no less than event_bytes_max",
            ),
            ("topics_max", self.topics_max as u64, 1, "1 or more"),
            ("retransmission_slots", self.retransmission_slots as u64, 1, "1 or more"),
        ] {
            if value < least {
                return Err(ConfigError { field, value, rule });
            }
        }
        Ok(())
    }
}

const _: () = assert!(COMMAND_BYTES_MAX == 32_768 && REPLY_BYTES_LEAST == 65_536, "the rules above say so in words");

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against settings that hang a connection at full load, such as a buffer that never holds a whole command.
    #[test]
    fn settings_that_cannot_work_are_named() {
        let good = GatewayConfig::default();
        assert_eq!(good.check(), Ok(()));
        type Change = fn(&mut GatewayConfig);
        let cases: [(&str, u64, Change); 13] = [
            ("connections_max", 0, |config| config.connections_max = 0),
            ("heartbeat_ms", 0, |config| config.heartbeat_ms = 0),
            ("timeout_ms", 1_000, |config| config.timeout_ms = 1_000),
            ("logon_timeout_ms", 0, |config| config.logon_timeout_ms = 0),
            ("closing_timeout_ms", 0, |config| config.closing_timeout_ms = 0),
            ("rate_burst", 0, |config| (config.rate_per_second, config.rate_burst) = (1, 0)),
            ("read_bytes_max", 100, |config| config.read_bytes_max = 100),
            ("read_bytes_max", 65_535, |config| config.read_bytes_max = 65_535),
            ("event_bytes_max", 255, |config| config.event_bytes_max = 255),
            ("reply_bytes_max", (1 << 20) - 1, |config| config.reply_bytes_max = (1 << 20) - 1),
            ("reply_bytes_max", 300, |config| (config.event_bytes_max, config.reply_bytes_max) = (300, 300)),
            ("topics_max", 0, |config| config.topics_max = 0),
            ("retransmission_slots", 0, |config| config.retransmission_slots = 0),
        ];
        for (field, value, change) in cases {
            let mut config = good.clone();
            change(&mut config);
            let error = config.check().unwrap_err();
            assert_eq!((error.field, error.value), (field, value), "{error}");
        }
        let unlimited = GatewayConfig { rate_burst: 0, read_bytes_max: 65_536, ..good };
        assert_eq!(unlimited.check(), Ok(()));
    }
}
