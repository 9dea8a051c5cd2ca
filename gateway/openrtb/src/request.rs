//! Bid requests: what of their JSON matters to an auction, and what is wrong with it. Fields that are not named here are
//! ignored, as the specification asks of receivers. Text that has a number becomes that number as it is read.

use crate::json::{BidRequest, Deal, Extended, Format, Geo, Imp, MultiBid, Stream, Text, Whole};
use crate::names::Names;
use ringfence_domains::auction::messages::{self, BID_MAX, Dimension};

/// Slots of a request at most.
const SLOTS_MAX: usize = 64;
/// Bids for a slot at most: a placement has no more slots.
const BIDS_MAX: u8 = messages::SLOTS_MAX as u8;
/// What a price of the request is multiplied by: a CPM of the currency is 10⁶ for one impression in units of 10⁻⁹.
const PRICE_SCALE: f64 = 1e6;
/// What a request blocks at most; and texts beside these that are looked at, of the request and of each slot.
const BLOCKS_MAX: usize = 4_096;
const TEXTS_MAX: usize = 512;

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
pub(crate) struct Floor<'a> {
    /// How much.
    pub(crate) nanos: u64,
    /// The currency's code.
    pub(crate) currency: Text<'a>,
}

/// A private deal whose name has a number.
#[derive(Clone, Debug)]
pub(crate) struct AskedDeal<'a> {
    pub(crate) value: u32,
    /// Its name.
    pub(crate) id: Text<'a>,
    pub(crate) floor: Floor<'a>,
}

/// What has numbers, of what is said of whom and where, and of what is blocked: in order, each there once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) blocks: Vec<(Dimension, u32)>,
    pub(crate) rest: Vec<(Dimension, u32)>,
    /// Texts that were looked at.
    texts: usize,
    blocked: usize,
}

impl Said {
    fn add(&mut self, names: &Names, dimension: Dimension, text: &str) {
        self.texts += 1;
        if self.texts <= TEXTS_MAX && !text.is_empty() {
            self.rest.extend(names.number(dimension, text).map(|value| (dimension, value)));
        }
    }

    fn block(&mut self, names: &Names, dimension: Dimension, text: &str) {
        self.blocked += 1;
        if self.blocked <= BLOCKS_MAX {
            self.blocks.extend(names.blocked(dimension, text).map(|value| (dimension, value)));
        }
    }

    fn finish(mut self) -> Result<Self, BadRequest> {
        if self.blocked > BLOCKS_MAX {
            return Err(BadRequest::Senseless("more is blocked than 4096 of categories, domains and attributes"));
        }
        for list in [&mut self.blocks, &mut self.rest] {
            list.sort_unstable();
            list.dedup();
        }
        Ok(self)
    }
}

/// One `imp` of a request.
#[derive(Clone, Debug)]
pub(crate) struct AskedSlot<'a> {
    /// Its id.
    pub(crate) id: Text<'a>,
    /// Where it is: the name of a placement.
    pub(crate) tag: Text<'a>,
    /// What it costs at least.
    pub(crate) floor: Floor<'a>,
    /// Private deals that somebody could have, by their numbers.
    pub(crate) deals: Vec<AskedDeal<'a>>,
    /// Whether it is for private deals only.
    pub(crate) private: bool,
    /// Bids that it takes at most.
    pub(crate) bids: u8,
    /// Why nothing can be bid for it; none when something can.
    pub(crate) refused: Option<&'static str>,
    /// Its sizes, and attributes that it blocks.
    pub(crate) said: Said,
}

/// Who would see it, by the exchange or by the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum User<'a> {
    Exchange(Text<'a>),
    Device(Text<'a>),
}

/// A request that makes sense.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    /// Its id.
    pub(crate) id: Text<'a>,
    /// Milliseconds in which the exchange wants the answer.
    pub(crate) tmax: Option<u64>,
    /// Currencies in which bids may be; empty when any.
    pub(crate) currencies: Vec<Text<'a>>,
    /// Whether nothing of it is billed.
    pub(crate) test: bool,
    pub(crate) user: Option<User<'a>>,
    /// What it says of whom and where, and what it blocks.
    pub(crate) said: Said,
    /// Its slots.
    pub(crate) slots: Vec<AskedSlot<'a>>,
}

impl<'a> Ask<'a> {
    /// Reads a bid request. `bidder` is what servers of header bidding call us.
    ///
    /// # Errors
    /// See [`BadRequest`].
    pub(crate) fn parse(body: &'a [u8], bidder: Option<&str>, names: &Names) -> Result<Self, BadRequest> {
        if body.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err(BadRequest::Senseless("expected an object"));
        }
        let request: BidRequest<'a> = serde_json::from_slice(body)?;
        if request.site.is_some() && request.app.is_some() {
            return Err(BadRequest::Senseless("a request has a site or an app, not both"));
        }
        let said = said(&request, names)?;
        let imps = request.imp;
        if imps.is_empty() {
            return Err(BadRequest::Missing("imp"));
        }
        if imps.len() > SLOTS_MAX {
            return Err(BadRequest::Senseless("a request has more than 64 slots"));
        }
        let bids = bidder.map_or(1, |bidder| bids_max(body, bidder));
        let slots = imps.into_iter().map(|imp| slot(imp, bids, names)).collect::<Result<Vec<_>, _>>()?;
        let mut ids: Vec<&str> = slots.iter().map(|(id, _)| id.as_str()).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(BadRequest::Senseless("two slots have the same imp.id"));
        }
        let by_exchange = request.user.and_then(|user| user.id).filter(|id| !id.as_str().is_empty());
        // Who wants no tracking, and a device whose id is zeros, is nobody.
        let device = request.device.filter(|device| ![&device.lmt, &device.dnt].into_iter().any(is_one));
        let by_device = device.and_then(|device| device.ifa);
        let by_device = by_device.filter(|id| id.as_str().bytes().any(|byte| byte != b'0' && byte != b'-'));
        Ok(Self {
            id: request.id.filter(|id| !id.as_str().is_empty()).ok_or(BadRequest::Missing("id"))?,
            tmax: request.tmax.map(|Whole(tmax)| tmax),
            currencies: request.cur,
            test: is_one(&request.test),
            user: by_exchange.map(User::Exchange).or(by_device.map(User::Device)),
            said,
            slots: slots.into_iter().filter_map(|(_, slot)| slot).collect(),
        })
    }
}

fn is_one(flag: &Option<Whole>) -> bool {
    *flag == Some(Whole(1))
}

/// How many bids of a bidder a server of header bidding takes for a slot: the first entry that names it and says how many counts,
/// a bidder by itself or among others, whatever letters are capitals. What makes no sense among extensions says nothing.
fn bids_max(body: &[u8], bidder: &str) -> u8 {
    let extended = serde_json::from_slice::<Extended<'_>>(body).ok();
    let entries = extended.map(|request| request.ext.prebid.multibid).unwrap_or_default();
    let is_ours = |name: &Text<'_>| name.as_str().eq_ignore_ascii_case(bidder);
    let names = |entry: &MultiBid<'_>| match &entry.bidder {
        Some(one) => is_ours(one),
        None => entry.bidders.iter().any(is_ours),
    };
    let most = entries.iter().filter(|entry| names(entry)).find_map(|entry| entry.maxbids);
    most.map_or(1, |most| most.clamp(1, i64::from(BIDS_MAX)) as u8)
}

/// How many advertisements a pod takes that leaves it to bidders how many and how long they are; none when it is no such pod.
fn pod(stream: &Stream) -> Option<u8> {
    match (stream.maxseq, stream.poddur) {
        (Some(Whole(most)), _) => Some(most.clamp(1, u64::from(BIDS_MAX)) as u8),
        (None, Some(_)) => Some(BIDS_MAX),
        (None, None) => None,
    }
}

/// Why nothing can be bid for a slot whatever anybody bids.
fn refusal(imp: &Imp<'_>) -> Option<&'static str> {
    let per_second = |stream: &Stream| stream.mincpmpersec.is_some_and(|floor| floor > 0.0);
    if imp.video.iter().chain(&imp.audio).any(per_second) {
        return Some("mincpmpersec: a floor by the second of what is shown");
    }
    // Each of them would be billed, and one impression is.
    let many = imp.qty.as_ref().and_then(|quantity| quantity.multiplier).is_some_and(|times| times != 1.0);
    many.then_some("qty: an impression that counts several times")
}

/// A slot and its id; one without a tag is nobody's here.
fn slot<'a>(imp: Imp<'a>, bids: u8, names: &Names) -> Result<(Text<'a>, Option<AskedSlot<'a>>), BadRequest> {
    let refused = refusal(&imp);
    let bids = imp.video.iter().chain(&imp.audio).filter_map(pod).fold(bids, u8::max);
    let floor = floor(imp.bidfloor, imp.bidfloorcur)?;
    let mut said = Said::default();
    if let Some(banner) = imp.banner {
        for Format { w, h } in banner.format.iter().chain([&Format { w: banner.w, h: banner.h }]) {
            if let (Some(Whole(w)), Some(Whole(h))) = (w, h) {
                said.add(names, Dimension::Size, &format!("{w}x{h}"));
            }
        }
        for Whole(attribute) in banner.battr {
            said.block(names, Dimension::AdAttribute, &attribute.to_string());
        }
    }
    let private = imp.pmp.as_ref().is_some_and(|pmp| is_one(&pmp.private_auction));
    let mut deals = Vec::new();
    for Deal { id, bidfloor, bidfloorcur } in imp.pmp.into_iter().flat_map(|pmp| pmp.deals) {
        let id = id.ok_or(BadRequest::Missing("imp.pmp.deals.id"))?;
        let floor = self::floor(bidfloor, bidfloorcur)?;
        if let Some(value) = names.number(Dimension::Deal, id.as_str()) {
            deals.push(AskedDeal { value, id, floor });
        }
    }
    deals.sort_by_key(|deal| deal.value);
    deals.dedup_by_key(|deal| deal.value);
    let id = imp.id.filter(|id| !id.as_str().is_empty()).ok_or(BadRequest::Missing("imp.id"))?;
    let said = said.finish()?;
    let slot = imp.tagid.map(|tag| AskedSlot { id: id.clone(), tag, floor, deals, private, bids, refused, said });
    Ok((id, slot))
}

/// A floor of the request; without one it is nothing, and without a currency it is in US dollars.
fn floor(amount: Option<f64>, currency: Option<Text<'_>>) -> Result<Floor<'_>, BadRequest> {
    let scaled = (amount.unwrap_or(0.0) * PRICE_SCALE).round();
    // A number that is none is in no range either.
    if !(0.0..=BID_MAX as f64).contains(&scaled) {
        return Err(BadRequest::Senseless("a bidfloor is below zero or more than can be bid"));
    }
    Ok(Floor { nanos: scaled as u64, currency: currency.unwrap_or(Text("USD".into())) })
}

/// What a request says of whom and where, and what it blocks.
fn said(request: &BidRequest<'_>, names: &Names) -> Result<Said, BadRequest> {
    let mut said = Said::default();
    if let Some(device) = &request.device {
        if let Some(Geo { country, region, city }) = &device.geo {
            // Regions and cities have the names of others elsewhere.
            let mut place = String::new();
            for part in [country, region, city].into_iter().flatten() {
                if !place.is_empty() {
                    place.push('-');
                }
                place.push_str(part.as_str());
                said.add(names, Dimension::Geography, &place);
            }
        }
        if let Some(Whole(kind)) = device.devicetype {
            said.add(names, Dimension::Device, &kind.to_string());
        }
        device.os.iter().for_each(|text| said.add(names, Dimension::System, text.as_str()));
        device.language.iter().for_each(|text| said.add(names, Dimension::Language, text.as_str()));
    }
    for channel in [&request.site, &request.app].into_iter().flatten() {
        for text in [&channel.id, &channel.domain, &channel.bundle].into_iter().flatten() {
            said.add(names, Dimension::Site, text.as_str());
        }
        channel.cat.iter().for_each(|text| said.add(names, Dimension::Category, text.as_str()));
        let listed = channel.keywords.iter().flat_map(|keywords| keywords.as_str().split(',').map(str::trim));
        listed.chain(channel.kwarray.iter().map(Text::as_str)).for_each(|text| {
            said.add(names, Dimension::Keyword, text);
        });
    }
    for segment in request.user.iter().flat_map(|user| &user.data).flat_map(|data| &data.segment) {
        segment.id.iter().for_each(|id| said.add(names, Dimension::Segment, id.as_str()));
    }
    request.bcat.iter().for_each(|text| said.block(names, Dimension::AdCategory, text.as_str()));
    request.badv.iter().for_each(|text| said.block(names, Dimension::AdDomain, text.as_str()));
    said.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<'a>(body: &'a str, names: &Names) -> Ask<'a> {
        Ask::parse(body.as_bytes(), Some("Ours"), names).unwrap_or_else(|bad| panic!("{body}: {bad}"))
    }

    /// A request with extensions and one slot with more fields.
    fn request(ext: &str, imp: &str) -> String {
        format!(r#"{{"id": "1", "ext": {ext}, "imp": [{{"id": "1", "tagid": "a"{imp}}}]}}"#)
    }

    /// Guards against more bids than a server of header bidding takes of us, whatever else it says.
    #[test]
    fn as_many_bids_are_made_as_multibid_says() {
        let names = Names::default();
        for (multibid, bids) in [
            (r#"[{"bidder": "ours", "maxbids": 3}]"#, 3),
            (r#"[{"bidders": ["other", "OURS"], "maxbids": 2}]"#, 2),
            (r#"[{"bidder": "ours"}, {"bidder": "ours", "maxbids": 2}, {"bidder": "ours", "maxbids": 4}]"#, 2),
            (r#"[{"bidder": "other", "bidders": ["ours"], "maxbids": 5}]"#, 1),
            (r#"[{"maxbids": 8}]"#, 1),
            (r#"[{"bidder": "ours", "maxbids": -1}]"#, 1),
            (r#"[{"bidder": "ours", "maxbids": 10}]"#, 8),
            (r#"{"bidder": "ours", "maxbids": 2}"#, 1),
            (r#"[{"bidder": "ours", "maxbids": "two"}]"#, 1),
        ] {
            let body = request(&format!(r#"{{"prebid": {{"multibid": {multibid}}}}}"#), "");
            assert_eq!(parse(&body, &names).slots[0].bids, bids, "{multibid}");
        }
        assert_eq!(parse(&request("[[[1]]]", ""), &names).slots[0].bids, 1);
        let body = request(r#"{"prebid": {"multibid": [{"bidder": "ours", "maxbids": 3}]}}"#, "");
        let ask = Ask::parse(body.as_bytes(), None, &names).expect("it makes sense");
        assert_eq!(ask.slots[0].bids, 1, "nobody calls us anything");
    }

    /// Guards against pods that get one bid, single slots that get several, and slots that must be left alone.
    #[test]
    fn a_pod_takes_as_many_bids_as_it_has_room_for() {
        let names = Names::default();
        for (imp, bids, refused) in [
            (r#", "video": {"mimes": ["video/mp4"], "podid": "p", "slotinpod": 1, "maxduration": 30}"#, 1, false),
            (r#", "video": {"podid": "p", "maxseq": 4, "poddur": 60}"#, 4, false),
            (r#", "audio": {"podid": "p", "maxseq": 400}"#, 8, false),
            (r#", "video": {"podid": "p", "poddur": 60}"#, 8, false),
            (r#", "video": {"maxseq": 0}"#, 1, false),
            (r#", "video": {"poddur": 60, "mincpmpersec": 0.1}"#, 8, true),
            (r#", "qty": {"multiplier": 14.2}"#, 1, true),
            (r#", "qty": {"multiplier": 1, "sourcetype": 1}"#, 1, false),
        ] {
            let body = request("{}", imp);
            let slot = &parse(&body, &names).slots[0];
            assert_eq!((slot.bids, slot.refused.is_some()), (bids, refused), "{imp}");
        }
        // Whichever takes more.
        let ext = r#"{"prebid": {"multibid": [{"bidder": "ours", "maxbids": 3}]}}"#;
        assert_eq!(parse(&request(ext, r#", "video": {"maxseq": 2}"#), &names).slots[0].bids, 3);
    }

    /// Guards against strangers who share a cap: an id of zeros, one of a device whose owner wants none, and the same id of an
    /// exchange and of a device.
    #[test]
    fn nobody_is_known_by_zeros_or_against_their_will() {
        let names = Names::default();
        let of = |who: &str| {
            let body = format!(r#"{{"id": "1", "imp": [{{"id": "1", "tagid": "a"}}], {who}}}"#);
            match parse(&body, &names).user {
                None => String::new(),
                Some(User::Exchange(id)) => format!("exchange {}", id.as_str()),
                Some(User::Device(id)) => format!("device {}", id.as_str()),
            }
        };
        for (who, known) in [
            (r#""user": {"id": "x"}, "device": {"ifa": "y"}"#, "exchange x"),
            (r#""user": {"id": ""}, "device": {"ifa": "y", "lmt": 0}"#, "device y"),
            (r#""device": {"ifa": "00000000-0000-0000-0000-000000000000"}"#, ""),
            (r#""device": {"ifa": "", "lmt": 0}"#, ""),
            (r#""device": {"ifa": "y", "lmt": 1}"#, ""),
            (r#""device": {"ifa": "y", "dnt": 1}"#, ""),
        ] {
            assert_eq!(of(who), known, "{who}");
        }
    }

    /// Guards against a request that keeps the thread of all others: thousands of words are looked at once, and those that are
    /// blocked are all there or none are.
    #[test]
    fn texts_are_bounded_and_blocks_are_not_dropped() {
        let mut names = Names::default();
        names.insert(Dimension::Keyword, "last", 1);
        names.insert(Dimension::AdDomain, "last", 2);
        let list = |count: usize| vec![r#""x""#; count].join(",");
        let body = |keywords: usize, blocks: usize| {
            let (keywords, blocks) = (list(keywords), list(blocks));
            format!(
                r#"{{"id": "1", "imp": [{{"id": "1", "tagid": "a"}}], "badv": [{blocks}, "last"],
                "site": {{"kwarray": [{keywords}, "last"]}}}}"#
            )
        };
        let ask = |body: &str| Ask::parse(body.as_bytes(), None, &names).map(|ask| (ask.said.rest, ask.said.blocks));
        let (keyword, domain) = ((Dimension::Keyword, 1), (Dimension::AdDomain, 2));
        assert_eq!(ask(&body(500, 4_000)).expect("it makes sense"), (vec![keyword], vec![domain]));
        assert_eq!(ask(&body(5_000, 4_000)).expect("it makes sense"), (vec![], vec![domain]));
        assert!(ask(&body(5, 4_096)).is_err_and(|bad| bad.to_string().contains("4096")));
    }

    /// Guards against a request refused for what others send: nothing where a list could be, whole numbers with a point, a slot
    /// that says no tag beside one that does.
    #[test]
    fn what_exchanges_send_is_understood() {
        let body = r#"{"id": "1", "tmax": 100.0, "bcat": null, "badv": null, "cur": null, "user": {"data": null}, "imp": [
            {"id": "1", "banner": {"w": 300.0, "h": 250, "battr": null, "format": null}},
            {"id": "2", "tagid": "a", "banner": {"w": 300.0, "h": 250, "battr": null, "format": null}}]}"#;
        let mut names = Names::default();
        names.insert(Dimension::Size, "300x250", 7);
        let ask = parse(body, &names);
        assert_eq!((ask.tmax, ask.slots.len(), ask.slots[0].id.as_str()), (Some(100), 1, "2"));
        assert_eq!(ask.slots[0].said.rest, [(Dimension::Size, 7)]);
        for bad in ["\"tmax\": -1", "\"tmax\": 1.5", "\"tmax\": 1e300", "\"tmax\": \"1\""] {
            let body = format!(r#"{{"id": "1", "imp": [{{"id": "1", "tagid": "a"}}], {bad}}}"#);
            assert!(Ask::parse(body.as_bytes(), None, &names).is_err(), "{bad}");
        }
    }
}
