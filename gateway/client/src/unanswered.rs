//! Requests that were sent and not yet answered, in the order of their ids: what a new connection resends.

use ringfence_kernel::RequestId;
use std::collections::VecDeque;

#[derive(Debug)]
struct Request {
    /// Its id on the wire.
    id: RequestId,
    /// The id under which the caller knows it: the first one it had.
    known_as: RequestId,
    answered: bool,
    image: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    requests: VecDeque<Request>,
    /// Images of answered requests, to be written again.
    spare: Vec<Vec<u8>>,
}

impl Unanswered {
    /// Ids between the oldest unanswered one and the newest, both counted: what the reply window bounds.
    pub(crate) fn span(&self) -> usize {
        self.requests.len()
    }

    /// A request whose image `fill` writes.
    pub(crate) fn push(&mut self, id: RequestId, known_as: RequestId, fill: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        assert!(self.requests.back().is_none_or(|last| last.id < id), "ids increase");
        let mut image = self.spare.pop().unwrap_or_default();
        image.clear();
        fill(&mut image);
        self.requests.push_back(Request { id, known_as, answered: false, image });
        &self.requests.back().expect("it was just pushed").image
    }

    /// The request was answered; gives the id that the caller knows, and none when it was answered before.
    pub(crate) fn answer(&mut self, id: RequestId) -> Option<RequestId> {
        let request = self.find(id)?;
        if std::mem::replace(&mut request.answered, true) {
            return None;
        }
        let known_as = request.known_as;
        while self.requests.front().is_some_and(|first| first.answered) {
            let first = self.requests.pop_front().expect("there is a first");
            self.spare.push(first.image);
        }
        Some(known_as)
    }

    /// The request goes out again under a new id; gives its image.
    pub(crate) fn reissue(&mut self, id: RequestId, new: RequestId) -> Option<&[u8]> {
        let request = self.find(id)?;
        if request.answered {
            return None;
        }
        let mut image = std::mem::take(&mut request.image);
        image[8..16].copy_from_slice(&new.0.to_le_bytes());
        let known_as = self.answer(id).expect("it was not answered");
        self.requests.push_back(Request { id: new, known_as, answered: false, image });
        Some(&self.requests.back().expect("it was just pushed").image)
    }

    /// The request goes out again under a new id, by which the caller knows it from then on; gives its image.
    pub(crate) fn rename(&mut self, id: RequestId, new: RequestId) -> Option<&[u8]> {
        self.reissue(id, new)?;
        let renamed = self.requests.back_mut().expect("it was just pushed");
        renamed.known_as = new;
        Some(&renamed.image)
    }

    /// Whether the request is not answered.
    pub(crate) fn is_waiting(&mut self, id: RequestId) -> bool {
        self.find(id).is_some_and(|request| !request.answered)
    }

    /// The images of all that is unanswered, in the order of their ids.
    pub(crate) fn images(&self) -> impl Iterator<Item = &[u8]> {
        self.requests.iter().filter(|request| !request.answered).map(|request| request.image.as_slice())
    }

    fn find(&mut self, id: RequestId) -> Option<&mut Request> {
        // Ids are mostly without gaps: the guess is nearly always right.
        let guess = usize::try_from(id.0.checked_sub(self.requests.front()?.id.0)?).ok()?;
        let place = match self.requests.get(guess) {
            Some(request) if request.id == id => guess,
            _ => self.requests.binary_search_by_key(&id, |request| request.id).ok()?,
        };
        self.requests.get_mut(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against an answer that is handed out twice, and against a reissued request that loses its name.
    #[test]
    fn each_request_is_answered_once_under_its_first_id() {
        let mut unanswered = Unanswered::default();
        for id in [3, 4, 7, 8] {
            unanswered.push(RequestId(id), RequestId(id), |image| image.resize(32, id as u8));
        }
        assert_eq!(unanswered.answer(RequestId(4)), Some(RequestId(4)));
        assert_eq!(unanswered.answer(RequestId(4)), None);
        assert_eq!(unanswered.answer(RequestId(5)), None);
        assert_eq!(unanswered.reissue(RequestId(7), RequestId(9)).unwrap()[8..16], 9_u64.to_le_bytes());
        assert_eq!(unanswered.answer(RequestId(7)), None);
        let firsts: Vec<u8> = unanswered.images().map(|image| image[0]).collect();
        assert_eq!(firsts, [3, 8, 7]);
        assert_eq!(unanswered.answer(RequestId(9)), Some(RequestId(7)));
        assert_eq!(unanswered.answer(RequestId(8)), Some(RequestId(8)));
        assert_eq!(unanswered.answer(RequestId(3)), Some(RequestId(3)));
        assert_eq!(unanswered.span(), 0);
    }

    /// Guards against a request that is answered under a number that is over.
    #[test]
    fn a_renamed_request_is_known_by_its_new_id() {
        let mut unanswered = Unanswered::default();
        for id in [3, 4] {
            unanswered.push(RequestId(id), RequestId(id), |image| image.resize(32, id as u8));
        }
        assert!(unanswered.is_waiting(RequestId(3)));
        assert_eq!(unanswered.rename(RequestId(3), RequestId(5)).unwrap()[8..16], 5_u64.to_le_bytes());
        assert!(!unanswered.is_waiting(RequestId(3)) && unanswered.is_waiting(RequestId(5)));
        assert_eq!(unanswered.rename(RequestId(3), RequestId(6)), None);
        assert_eq!(unanswered.answer(RequestId(5)), Some(RequestId(5)));
    }
}
