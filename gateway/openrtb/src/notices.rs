//! Notices: what became of a bid. Their addresses are signed, so that nobody else can make an impression of a win.

use hmac::{Hmac, KeyInit as _, Mac as _};
use ringfence_domains::auction::messages::{UserKey, WinId};
use sha2::Sha256;

/// What an exchange says of a bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// It won the exchange's auction (`nurl`). Nothing changes: the price is held already.
    Win,
    /// It is billable (`burl`): an impression.
    Bill,
    /// It lost (`lurl`): the win is taken back, and what it holds is free.
    Loss,
}

impl Notice {
    fn path(self) -> &'static str {
        match self {
            Self::Win => "win",
            Self::Bill => "bill",
            Self::Loss => "loss",
        }
    }
}

/// What signs notices and hashes users: the secret, taken in once.
#[derive(Clone)]
pub(crate) struct Secret(Hmac<Sha256>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Bytes of a signature.
const MAC_BYTES: usize = 16;

impl Secret {
    /// A secret.
    pub(crate) fn new(secret: &str) -> Self {
        Self(Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length"))
    }

    fn mac(&self, of: &str, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(of.as_bytes());
        mac.update(&[0]);
        mac.update(bytes);
        mac
    }

    /// The address of a notice below `base`.
    pub(crate) fn address(&self, base: &str, notice: Notice, WinId(win): WinId) -> String {
        let (path, mac) = (notice.path(), self.mac(notice.path(), &win.to_le_bytes()).finalize().into_bytes());
        let mac = base16ct::lower::encode_string(&mac[..MAC_BYTES]);
        format!("{}/{path}/{win}/{mac}", base.trim_end_matches('/'))
    }

    /// The notice of a path, `…/KIND/WIN/SIGNATURE`; none when it is not one of ours.
    pub(crate) fn notice(&self, path: &str) -> Option<(Notice, WinId)> {
        let mut parts = path.rsplit('/');
        let (signature, win, kind) = (parts.next()?, parts.next()?.parse::<u64>().ok()?, parts.next()?);
        let notice = [Notice::Win, Notice::Bill, Notice::Loss].into_iter().find(|notice| notice.path() == kind)?;
        let mut bytes = [0; MAC_BYTES];
        let decoded = base16ct::mixed::decode(signature, &mut bytes).ok()?;
        if decoded.len() != MAC_BYTES {
            return None;
        }
        let mac = self.mac(notice.path(), &win.to_le_bytes());
        mac.verify_truncated_left(&bytes).ok()?;
        Some((notice, WinId(win)))
    }

    /// The key of a user: what stands for it in the log. `of` is who gave the id.
    pub(crate) fn user(&self, of: &str, id: &str) -> UserKey {
        let hash = self.mac(of, id.as_bytes()).finalize().into_bytes();
        let key = hash.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
        UserKey(key.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against notices that anybody can make up, and against our own that are not known again.
    #[test]
    fn a_notice_is_known_by_its_signature() {
        let (secret, other) = (Secret::new("a secret of 16 bytes"), Secret::new("another of 16 bytes!"));
        for notice in [Notice::Win, Notice::Bill, Notice::Loss] {
            let address = secret.address("http://here/notice/", notice, WinId(88));
            assert_eq!(secret.notice(&address), Some((notice, WinId(88))), "{address}");
            assert_eq!(other.notice(&address), None);
            assert_eq!(secret.notice(&address.replace("/88/", "/89/")), None);
        }
        let loss = secret.address("http://here", Notice::Loss, WinId(8));
        assert_eq!(secret.notice(&loss.replace("loss", "bill")), None);
        for path in ["", "/", "///", "/bill/8", "/bill/8/ää", "/bill/-1/00", "/bill/8/0123456789abcdef"] {
            assert_eq!(secret.notice(path), None, "{path}");
        }
    }
}
