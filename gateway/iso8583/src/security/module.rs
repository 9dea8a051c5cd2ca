//! The module that a gateway asks, and one in software.

use super::{
    Decimalization, Padding, Pan, Pin, PinBlockFormat, PinReference, SecurityError, aes_block, aes_cmac, cvv, decipher,
    encipher, halves, ibm3624_offset, packed, retail_mac, tdes, visa_pvv,
};
use aes_kw::{KeyInit as _, KwAes256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// What a key is for. A key that was wrapped for one purpose cannot be used for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// PIN blocks between a terminal or network and this host.
    PinBlock = 1,
    /// PIN verification.
    PinVerification = 2,
    /// CVV.
    Cvv = 3,
    /// Message authentication.
    Mac = 4,
    /// Tokens of card numbers.
    Token = 5,
    /// The keys that a terminal is given, on their way to it.
    Exchange = 6,
    /// Card numbers that the issuer must be told again: it covers them, and uncovers them.
    Cover = 7,
}

impl Purpose {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 7] = [
        ("pin-block", Self::PinBlock),
        ("pin-verification", Self::PinVerification),
        ("cvv", Self::Cvv),
        ("mac", Self::Mac),
        ("token", Self::Token),
        ("exchange", Self::Exchange),
        ("cover", Self::Cover),
    ];

    /// The purpose of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, purpose)| purpose)
    }
}

/// A key under the module's master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// What it is for.
    pub purpose: Purpose,
    /// The key, wrapped.
    pub bytes: Vec<u8>,
}

/// A PIN block and the key that it is under.
#[derive(Clone, Copy, Debug)]
pub struct PinUnderKey<'a> {
    /// How it was made.
    pub format: PinBlockFormat,
    /// The block.
    pub block: &'a [u8],
    /// The key.
    pub key: &'a WrappedKey,
}

/// What a CVV is of.
#[derive(Clone, Copy, Debug)]
pub struct CardData<'a> {
    /// The card's number.
    pub pan: &'a Pan,
    /// Its expiry, four digits.
    pub expiry: &'a [u8],
    /// Its service code, three digits.
    pub service: &'a [u8],
}

/// A key that was made for a terminal.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// As this module keeps it.
    pub wrapped: WrappedKey,
    /// As the terminal gets it: its two parts, each enciphered with triple DES under the terminal's exchange key.
    pub for_terminal: [u8; 16],
    /// What eight zero bytes become under it, cut to three bytes: the terminal compares.
    pub check: [u8; 3],
}

/// What a gateway asks of a security module.
pub trait SecurityModule: Send + Sync {
    /// Whether the PIN in the block is that of the reference.
    ///
    /// # Errors
    /// [`SecurityError`] when the block or a key is not what it should be.
    fn verify_pin(
        &self,
        pin: PinUnderKey<'_>,
        pan: &Pan,
        key: &WrappedKey,
        reference: &PinReference,
    ) -> Result<bool, SecurityError> {
        Ok(self.refer_to_pin(pin, pan, key, reference)?.is(reference))
    }

    /// The reference of the PIN in the block, of the same kind as `like`: to change a PIN.
    ///
    /// # Errors
    /// As [`SecurityModule::verify_pin`].
    fn refer_to_pin(
        &self,
        pin: PinUnderKey<'_>,
        pan: &Pan,
        key: &WrappedKey,
        like: &PinReference,
    ) -> Result<PinReference, SecurityError>;

    /// Whether the value is the card's.
    ///
    /// # Errors
    /// As [`SecurityModule::verify_pin`].
    fn verify_cvv(&self, key: &WrappedKey, card: CardData<'_>, value: &[u8]) -> Result<bool, SecurityError>;

    /// The authentication code of a message: a retail MAC, padded with zeros.
    ///
    /// # Errors
    /// As [`SecurityModule::verify_pin`].
    fn authenticate(&self, key: &WrappedKey, message: &[u8]) -> Result<[u8; 8], SecurityError>;

    /// Whether the code is the message's.
    ///
    /// # Errors
    /// As [`SecurityModule::verify_pin`].
    fn is_authentic(&self, key: &WrappedKey, message: &[u8], code: &[u8]) -> Result<bool, SecurityError> {
        Ok(self.authenticate(key, message)?.ct_eq(code).into())
    }

    /// What stands for a card's number wherever it must not be known: the same for the same number and key.
    ///
    /// # Errors
    /// As [`SecurityModule::verify_pin`].
    fn token(&self, key: &WrappedKey, pan: &Pan) -> Result<[u8; 16], SecurityError>;

    /// As [`SecurityModule::token`], but the module can tell the number again: one block of AES.
    ///
    /// # Errors
    /// As [`SecurityModule::verify_pin`].
    fn cover(&self, key: &WrappedKey, pan: &Pan) -> Result<[u8; 16], SecurityError>;

    /// The number that was covered.
    ///
    /// # Errors
    /// As [`SecurityModule::verify_pin`], and [`SecurityError::Pan`] when none was covered with that key.
    fn uncover(&self, key: &WrappedKey, covered: [u8; 16]) -> Result<Pan, SecurityError>;

    /// The PIN in the block in another block, of that format under that key: it is on its way to the card's issuer.
    ///
    /// # Errors
    /// As [`SecurityModule::verify_pin`], and [`SecurityError::Random`].
    fn translate_pin(
        &self,
        pin: PinUnderKey<'_>,
        pan: &Pan,
        format: PinBlockFormat,
        key: &WrappedKey,
    ) -> Result<Vec<u8>, SecurityError>;

    /// A new key of 16 bytes for that purpose, to be sent to the terminal that has the exchange key.
    ///
    /// # Errors
    /// As [`SecurityModule::verify_pin`], and [`SecurityError::Random`].
    fn make_key(&self, purpose: Purpose, exchange: &WrappedKey) -> Result<NewKey, SecurityError>;
}

/// A security module in this process, for tests and demonstrations.
#[derive(Debug)]
pub struct SoftwareModule {
    master: Master,
    decimalization: Decimalization,
}

struct Master(Zeroizing<[u8; 32]>);

impl core::fmt::Debug for Master {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Master")
    }
}

impl SoftwareModule {
    /// A module with that master key. Natural PINs of IBM 3624 are made as `decimalization` says.
    #[must_use]
    pub fn new(master: [u8; 32], decimalization: Decimalization) -> Self {
        Self { master: Master(Zeroizing::new(master)), decimalization }
    }

    /// Wraps a key for one purpose: AES key wrap (RFC 3394) under a key that CMAC derives of the master key for it.
    ///
    /// # Errors
    /// [`SecurityError::Key`] when the key is not of 16, 24 or 32 bytes.
    pub fn wrap(&self, purpose: Purpose, key: &[u8]) -> Result<WrappedKey, SecurityError> {
        if !matches!(key.len(), 16 | 24 | 32) {
            return Err(SecurityError::Key);
        }
        let mut bytes = vec![0; key.len() + 8];
        self.wrapping(purpose)?.wrap_key(key, &mut bytes).map_err(|_| SecurityError::Key)?;
        Ok(WrappedKey { purpose, bytes })
    }

    /// The reference of a PIN, of the same kind as `like`: to issue a card.
    ///
    /// # Errors
    /// As [`SecurityModule::verify_pin`].
    pub fn reference_of(
        &self,
        key: &WrappedKey,
        pin: &Pin,
        pan: &Pan,
        like: &PinReference,
    ) -> Result<PinReference, SecurityError> {
        let key = self.unwrap(Purpose::PinVerification, key)?;
        Ok(match like {
            PinReference::Pvv { index, .. } => {
                PinReference::Pvv { index: *index, value: visa_pvv(&key, *index, pin, pan)? }
            }
            PinReference::Offset(_) => PinReference::Offset(ibm3624_offset(&key, &self.decimalization, pin, pan)?),
        })
    }

    fn unwrap(&self, purpose: Purpose, key: &WrappedKey) -> Result<Zeroizing<Vec<u8>>, SecurityError> {
        if key.purpose != purpose || !matches!(key.bytes.len(), 24 | 32 | 40) {
            return Err(SecurityError::Unwrap);
        }
        let mut clear = Zeroizing::new(vec![0; key.bytes.len() - 8]);
        let unwrapped = self.wrapping(purpose)?.unwrap_key(&key.bytes, &mut clear).map(|_| ());
        unwrapped.map_err(|_| SecurityError::Unwrap)?;
        Ok(clear)
    }

    fn wrapping(&self, purpose: Purpose) -> Result<KwAes256, SecurityError> {
        let mut derived = Zeroizing::new([0; 32]);
        for (half, out) in derived.chunks_exact_mut(16).enumerate() {
            let label = [b"ringfence wrap ".as_slice(), &[purpose as u8, half as u8]].concat();
            out.copy_from_slice(&aes_cmac(&*self.master.0, &label)?);
        }
        KwAes256::new_from_slice(&*derived).map_err(|_| SecurityError::Key)
    }
}

impl SecurityModule for SoftwareModule {
    fn refer_to_pin(
        &self,
        pin: PinUnderKey<'_>,
        pan: &Pan,
        key: &WrappedKey,
        like: &PinReference,
    ) -> Result<PinReference, SecurityError> {
        let block_key = self.unwrap(Purpose::PinBlock, pin.key)?;
        let pin = decipher(pin.format, &block_key, pin.block, pan)?;
        self.reference_of(key, &pin, pan, like)
    }

    fn verify_cvv(&self, key: &WrappedKey, card: CardData<'_>, value: &[u8]) -> Result<bool, SecurityError> {
        let key = self.unwrap(Purpose::Cvv, key)?;
        Ok(cvv(&key, card.pan, card.expiry, card.service)?.ct_eq(value).into())
    }

    fn authenticate(&self, key: &WrappedKey, message: &[u8]) -> Result<[u8; 8], SecurityError> {
        retail_mac(&self.unwrap(Purpose::Mac, key)?, message, Padding::Zeros)
    }

    fn token(&self, key: &WrappedKey, pan: &Pan) -> Result<[u8; 16], SecurityError> {
        aes_cmac(&self.unwrap(Purpose::Token, key)?, pan.digits())
    }

    fn cover(&self, key: &WrappedKey, pan: &Pan) -> Result<[u8; 16], SecurityError> {
        let digits = pan.digits().iter().map(|digit| digit - b'0');
        let count = pan.digits().len() as u8;
        let mut block = packed([count >> 4, count & 15].into_iter().chain(digits));
        aes_block(&self.unwrap(Purpose::Cover, key)?, &mut block, true)?;
        Ok(block)
    }

    fn uncover(&self, key: &WrappedKey, covered: [u8; 16]) -> Result<Pan, SecurityError> {
        let mut block = Zeroizing::new(covered);
        aes_block(&self.unwrap(Purpose::Cover, key)?, &mut block, false)?;
        let mut digits = Zeroizing::new([0; 30]);
        digits.iter_mut().zip(halves(&block[1..])).for_each(|(digit, half)| *digit = b'0' + half);
        let (number, rest) = digits.split_at_checked(block[0].into()).ok_or(SecurityError::Pan)?;
        if rest.iter().all(|digit| *digit == b'0') { Pan::new(number) } else { Err(SecurityError::Pan) }
    }

    fn translate_pin(
        &self,
        pin: PinUnderKey<'_>,
        pan: &Pan,
        format: PinBlockFormat,
        key: &WrappedKey,
    ) -> Result<Vec<u8>, SecurityError> {
        let clear = decipher(pin.format, &self.unwrap(Purpose::PinBlock, pin.key)?, pin.block, pan)?;
        let mut fill = Zeroizing::new([0; 16]);
        getrandom::fill(&mut *fill).map_err(|_| SecurityError::Random)?;
        encipher(format, &self.unwrap(Purpose::PinBlock, key)?, &clear, pan, &fill)
    }

    fn make_key(&self, purpose: Purpose, exchange: &WrappedKey) -> Result<NewKey, SecurityError> {
        let exchange = self.unwrap(Purpose::Exchange, exchange)?;
        let mut key = Zeroizing::new([0; 16]);
        getrandom::fill(&mut *key).map_err(|_| SecurityError::Random)?;
        let mut for_terminal = *key;
        for half in for_terminal.chunks_exact_mut(8) {
            tdes(&exchange, half.try_into().expect("eight bytes"))?;
        }
        let mut zeros = [0; 8];
        tdes(&*key, &mut zeros)?;
        let check = [zeros[0], zeros[1], zeros[2]];
        Ok(NewKey { wrapped: self.wrap(purpose, &*key)?, for_terminal, check })
    }
}
