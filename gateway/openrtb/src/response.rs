//! Bid responses.

use serde::Serialize;

/// A bid response with its one seat.
#[derive(Debug, Serialize)]
pub(crate) struct BidResponse<'a> {
    /// The request's id.
    pub(crate) id: &'a str,
    pub(crate) seatbid: [SeatBid<'a>; 1],
    /// What prices are in.
    pub(crate) cur: &'a str,
}

#[derive(Debug, Serialize)]
pub(crate) struct SeatBid<'a> {
    pub(crate) bid: Vec<Bid<'a>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Bid<'a> {
    /// The number of the win.
    pub(crate) id: String,
    pub(crate) impid: &'a str,
    /// For a thousand impressions.
    pub(crate) price: f64,
    pub(crate) nurl: String,
    pub(crate) burl: String,
    pub(crate) lurl: String,
    pub(crate) adm: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) adomain: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) cat: &'a [String],
    /// The line item and the creative.
    pub(crate) cid: String,
    pub(crate) crid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) w: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) h: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dur: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dealid: Option<&'a str>,
}

impl Bid<'_> {
    /// A price for one impression in units of 10⁻⁹, as that of a thousand.
    pub(crate) fn price(nanos: u64) -> f64 {
        nanos as f64 / 1e6
    }
}
