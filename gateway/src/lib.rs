//! The gateway: one mio loop between sockets and the rings.
