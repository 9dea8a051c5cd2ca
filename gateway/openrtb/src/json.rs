//! The JSON of a bid request, as far as it matters. Text is borrowed from the body where it has no escapes.

use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// Text.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A whole number, which some write with a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole(pub(crate) u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if number.fract() != 0.0 || !(0.0..9e15).contains(&number) {
            return Err(serde::de::Error::custom(format_args!("{number} is no whole number that makes sense")));
        }
        Ok(Self(number as u64))
    }
}

/// A list, which is empty where nothing stands instead.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Debug, Deserialize)]
pub(crate) struct BidRequest<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "list")]
    pub(crate) imp: Vec<Imp<'a>>,
    #[serde(borrow)]
    pub(crate) site: Option<Channel<'a>>,
    #[serde(borrow)]
    pub(crate) app: Option<Channel<'a>>,
    #[serde(borrow)]
    pub(crate) device: Option<Device<'a>>,
    #[serde(borrow)]
    pub(crate) user: Option<User<'a>>,
    pub(crate) test: Option<Whole>,
    pub(crate) tmax: Option<Whole>,
    #[serde(borrow, default, deserialize_with = "list")]
    pub(crate) cur: Vec<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "list")]
    pub(crate) bcat: Vec<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "list")]
    pub(crate) badv: Vec<Text<'a>>,
}

/// A request with what servers of header bidding add.
#[derive(Debug, Deserialize)]
pub(crate) struct Extended<'a> {
    #[serde(borrow)]
    pub(crate) ext: Extensions<'a>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Extensions<'a> {
    #[serde(borrow)]
    pub(crate) prebid: HeaderBidding<'a>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct HeaderBidding<'a> {
    #[serde(borrow)]
    pub(crate) multibid: Vec<MultiBid<'a>>,
}

/// How many bids of a bidder are taken for a slot.
#[derive(Debug, Deserialize)]
pub(crate) struct MultiBid<'a> {
    #[serde(borrow)]
    pub(crate) bidder: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "list")]
    pub(crate) bidders: Vec<Text<'a>>,
    pub(crate) maxbids: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Imp<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) tagid: Option<Text<'a>>,
    pub(crate) banner: Option<Banner>,
    pub(crate) video: Option<Stream>,
    pub(crate) audio: Option<Stream>,
    #[serde(borrow)]
    pub(crate) pmp: Option<Pmp<'a>>,
    pub(crate) bidfloor: Option<f64>,
    #[serde(borrow)]
    pub(crate) bidfloorcur: Option<Text<'a>>,
    pub(crate) qty: Option<Quantity>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Banner {
    pub(crate) w: Option<Whole>,
    pub(crate) h: Option<Whole>,
    #[serde(default, deserialize_with = "list")]
    pub(crate) format: Vec<Format>,
    #[serde(default, deserialize_with = "list")]
    pub(crate) battr: Vec<Whole>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Format {
    pub(crate) w: Option<Whole>,
    pub(crate) h: Option<Whole>,
}

/// Video or audio, which may be a pod: a break with several advertisements in it.
#[derive(Debug, Deserialize)]
pub(crate) struct Stream {
    pub(crate) maxseq: Option<Whole>,
    pub(crate) poddur: Option<f64>,
    pub(crate) mincpmpersec: Option<f64>,
}

/// How many see what is shown once.
#[derive(Debug, Deserialize)]
pub(crate) struct Quantity {
    pub(crate) multiplier: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Pmp<'a> {
    pub(crate) private_auction: Option<Whole>,
    #[serde(borrow, default, deserialize_with = "list")]
    pub(crate) deals: Vec<Deal<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Deal<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Text<'a>>,
    pub(crate) bidfloor: Option<f64>,
    #[serde(borrow)]
    pub(crate) bidfloorcur: Option<Text<'a>>,
}

/// A site or an app.
#[derive(Debug, Deserialize)]
pub(crate) struct Channel<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) domain: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) bundle: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "list")]
    pub(crate) cat: Vec<Text<'a>>,
    #[serde(borrow)]
    pub(crate) keywords: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "list")]
    pub(crate) kwarray: Vec<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Device<'a> {
    #[serde(borrow)]
    pub(crate) geo: Option<Geo<'a>>,
    pub(crate) devicetype: Option<Whole>,
    #[serde(borrow)]
    pub(crate) os: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) language: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) ifa: Option<Text<'a>>,
    /// 1 where tracking is limited, and where it is not wanted.
    pub(crate) lmt: Option<Whole>,
    pub(crate) dnt: Option<Whole>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Geo<'a> {
    #[serde(borrow)]
    pub(crate) country: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) region: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) city: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct User<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "list")]
    pub(crate) data: Vec<Data<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Data<'a> {
    #[serde(borrow, default, deserialize_with = "list")]
    pub(crate) segment: Vec<Segment<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Segment<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Text<'a>>,
}
