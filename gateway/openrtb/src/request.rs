//! Bid requests: what of their JSON matters to an auction, and what is wrong with it. Fields that are not named here are
//! ignored, as the specification asks of receivers.

use ringfence_domains::auction::messages::{BID_MAX, Dimension};
use serde::Deserialize;

/// Slots of a request at most.
const SLOTS_MAX: usize = 64;
/// What a price of the request is multiplied by: a CPM of the currency is 10⁶ for one impression in units of 10⁻⁹.
const PRICE_SCALE: f64 = 1e6;

#[derive(Debug, Deserialize)]
struct BidRequest {
    id: Option<String>,
    imp: Option<Vec<Imp>>,
    site: Option<Channel>,
    app: Option<Channel>,
    device: Option<Device>,
    user: Option<User>,
    test: Option<u8>,
    tmax: Option<u64>,
    cur: Option<Vec<String>>,
    #[serde(default)]
    bcat: Vec<String>,
    #[serde(default)]
    badv: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Imp {
    id: Option<String>,
    tagid: Option<String>,
    banner: Option<Banner>,
    pmp: Option<Pmp>,
    bidfloor: Option<f64>,
    bidfloorcur: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Banner {
    w: Option<u32>,
    h: Option<u32>,
    #[serde(default)]
    format: Vec<Format>,
    #[serde(default)]
    battr: Vec<u32>,
}

#[derive(Debug, Deserialize)]
struct Format {
    w: Option<u32>,
    h: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Pmp {
    private_auction: Option<u8>,
    #[serde(default)]
    deals: Vec<Deal>,
}

#[derive(Debug, Deserialize)]
struct Deal {
    id: Option<String>,
    bidfloor: Option<f64>,
    bidfloorcur: Option<String>,
}

/// A site or an app.
#[derive(Debug, Deserialize)]
struct Channel {
    id: Option<String>,
    domain: Option<String>,
    bundle: Option<String>,
    #[serde(default)]
    cat: Vec<String>,
    keywords: Option<String>,
    #[serde(default)]
    kwarray: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Device {
    geo: Option<Geo>,
    devicetype: Option<u32>,
    os: Option<String>,
    language: Option<String>,
    ifa: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Geo {
    country: Option<String>,
    region: Option<String>,
    city: Option<String>,
}

#[derive(Debug, Deserialize)]
struct User {
    id: Option<String>,
    #[serde(default)]
    data: Vec<Data>,
}

#[derive(Debug, Deserialize)]
struct Data {
    #[serde(default)]
    segment: Vec<Segment>,
}

#[derive(Debug, Deserialize)]
struct Segment {
    id: Option<String>,
}

/// What is wrong with a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadRequest {
    /// It is not the JSON that it should be.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field makes no sense.
    #[error("{0}")]
    Senseless(&'static str),
}

/// A price, in units of 10⁻⁹ of a currency for one impression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Floor {
    /// How much.
    pub(crate) nanos: u64,
    /// The currency's code.
    pub(crate) currency: String,
}

/// One `imp` of a request.
#[derive(Clone, Debug)]
pub(crate) struct AskedSlot {
    /// Its id.
    pub(crate) id: String,
    /// Where it is: the name of a placement.
    pub(crate) tag: String,
    /// What it costs at least.
    pub(crate) floor: Floor,
    /// Private deals with their floors.
    pub(crate) deals: Vec<(String, Floor)>,
    /// Whether it is for private deals only.
    pub(crate) private: bool,
    /// Its sizes, and attributes that it blocks.
    pub(crate) names: Vec<(Dimension, String)>,
}

/// A request that makes sense.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Its id.
    pub(crate) id: String,
    /// Milliseconds in which the exchange wants the answer.
    pub(crate) tmax: Option<u64>,
    /// Currencies in which bids may be; empty when any.
    pub(crate) currencies: Vec<String>,
    /// Whether nothing of it is billed.
    pub(crate) test: bool,
    /// Who would see it.
    pub(crate) user: Option<String>,
    /// What it says of whom and where, and what it blocks.
    pub(crate) names: Vec<(Dimension, String)>,
    /// Its slots.
    pub(crate) slots: Vec<AskedSlot>,
}

impl Ask {
    /// Reads a bid request.
    ///
    /// # Errors
    /// See [`BadRequest`].
    pub(crate) fn parse(body: &[u8]) -> Result<Self, BadRequest> {
        if body.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err(BadRequest::Senseless("expected an object"));
        }
        let request: BidRequest = serde_json::from_slice(body)?;
        if request.site.is_some() && request.app.is_some() {
            return Err(BadRequest::Senseless("a request has a site or an app, not both"));
        }
        let names = names(&request);
        let imps = request.imp.filter(|imps| !imps.is_empty()).ok_or(BadRequest::Missing("imp"))?;
        if imps.len() > SLOTS_MAX {
            return Err(BadRequest::Senseless("a request has more than 64 slots"));
        }
        let slots = imps.into_iter().map(slot).collect::<Result<Vec<_>, _>>()?;
        let mut ids: Vec<&str> = slots.iter().map(|slot| slot.id.as_str()).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(BadRequest::Senseless("two slots have the same imp.id"));
        }
        let said = |id: Option<String>| id.filter(|id| !id.is_empty());
        let user = said(request.user.and_then(|user| user.id));
        let advertising_id = said(request.device.and_then(|device| device.ifa));
        Ok(Self {
            id: request.id.filter(|id| !id.is_empty()).ok_or(BadRequest::Missing("id"))?,
            tmax: request.tmax,
            currencies: request.cur.unwrap_or_default(),
            test: request.test == Some(1),
            user: user.or(advertising_id),
            names,
            slots,
        })
    }
}

fn slot(imp: Imp) -> Result<AskedSlot, BadRequest> {
    let floor = floor(imp.bidfloor, imp.bidfloorcur)?;
    let mut names = Vec::new();
    if let Some(banner) = imp.banner {
        let sizes = banner.format.iter().map(|format| (format.w, format.h)).chain([(banner.w, banner.h)]);
        for (w, h) in sizes {
            if let (Some(w), Some(h)) = (w, h) {
                names.push((Dimension::Size, format!("{w}x{h}")));
            }
        }
        names.extend(banner.battr.iter().map(|attribute| (Dimension::AdAttribute, attribute.to_string())));
    }
    let private = imp.pmp.as_ref().is_some_and(|pmp| pmp.private_auction == Some(1));
    let mut deals = Vec::new();
    for deal in imp.pmp.into_iter().flat_map(|pmp| pmp.deals) {
        let id = deal.id.ok_or(BadRequest::Missing("imp.pmp.deals.id"))?;
        deals.push((id, self::floor(deal.bidfloor, deal.bidfloorcur)?));
    }
    let id = imp.id.filter(|id| !id.is_empty()).ok_or(BadRequest::Missing("imp.id"))?;
    let tag = imp.tagid.ok_or(BadRequest::Missing("imp.tagid"))?;
    Ok(AskedSlot { id, tag, floor, deals, private, names })
}

/// A floor of the request; without one it is nothing, and without a currency it is in US dollars.
fn floor(amount: Option<f64>, currency: Option<String>) -> Result<Floor, BadRequest> {
    let scaled = (amount.unwrap_or(0.0) * PRICE_SCALE).round();
    // A number that is none is in no range either.
    if !(0.0..=BID_MAX as f64).contains(&scaled) {
        return Err(BadRequest::Senseless("a bidfloor is below zero or more than can be bid"));
    }
    Ok(Floor { nanos: scaled as u64, currency: currency.unwrap_or_else(|| "USD".into()) })
}

/// What a request says of whom and where, and what it blocks.
fn names(request: &BidRequest) -> Vec<(Dimension, String)> {
    let mut names = Vec::new();
    let mut add = |dimension: Dimension, text: &str| {
        if !text.is_empty() {
            names.push((dimension, text.to_string()));
        }
    };
    for channel in [&request.site, &request.app].into_iter().flatten() {
        for text in [&channel.id, &channel.domain, &channel.bundle].into_iter().flatten() {
            add(Dimension::Site, text);
        }
        channel.cat.iter().for_each(|text| add(Dimension::Category, text));
        let listed = channel.keywords.iter().flat_map(|keywords| keywords.split(',').map(str::trim));
        listed.chain(channel.kwarray.iter().map(String::as_str)).for_each(|text| add(Dimension::Keyword, text));
    }
    if let Some(device) = &request.device {
        if let Some(Geo { country, region, city }) = &device.geo {
            [country, region, city].into_iter().flatten().for_each(|text| add(Dimension::Geography, text));
        }
        if let Some(kind) = device.devicetype {
            add(Dimension::Device, &kind.to_string());
        }
        device.os.iter().for_each(|text| add(Dimension::System, text));
        device.language.iter().for_each(|text| add(Dimension::Language, text));
    }
    for data in request.user.iter().flat_map(|user| &user.data) {
        data.segment.iter().filter_map(|segment| segment.id.as_ref()).for_each(|id| add(Dimension::Segment, id));
    }
    request.bcat.iter().for_each(|text| add(Dimension::AdCategory, text));
    request.badv.iter().for_each(|text| add(Dimension::AdDomain, text));
    names
}
