//! A client of the native protocol: blocking or poll-driven, pipelined, reconnecting.
