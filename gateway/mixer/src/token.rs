//! Tokens: what is signed, what is kept of it, and the voter's side of it.

use anyhow::{Context as _, ensure};
use base16ct::lower::encode_string as hex;
use base16ct::mixed::decode_vec as unhex;
use blind_rsa_signatures::{
    BlindSignature, BlindingResult, DefaultRng, MessageRandomizer, PSS, PublicKey, Randomized, SecretKey, Sha384,
    Signature,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The key that checks signatures.
pub type Checking = PublicKey<Sha384, PSS, Randomized>;
/// The key that signs.
pub type Signing = SecretKey<Sha384, PSS, Randomized>;

const TOKEN_BYTES: usize = 32;

/// What is signed of a token.
#[must_use]
pub fn message(election: u32, token: &[u8; TOKEN_BYTES]) -> Vec<u8> {
    [b"ringfence votes".as_slice(), &election.to_le_bytes(), token].concat()
}

/// What the engine keeps of a token that casts a ballot.
#[must_use]
pub fn nullifier(election: u32, token: &[u8; TOKEN_BYTES]) -> [u8; 32] {
    Sha256::digest(message(election, token)).into()
}

/// What the engine keeps of a token that it lets be issued: of the signature over what was blinded, which only the registrar can make.
#[must_use]
pub fn fingerprint(signature: &[u8]) -> u64 {
    let hash: [u8; 32] = Sha256::digest(signature).into();
    // Zero is no fingerprint; nobody finds bytes that hash to it.
    u64::from_le_bytes(hash[..8].try_into().expect("eight bytes")).max(1)
}

/// A new pair of keys of that many bits, in PEM: the secret one first.
///
/// # Errors
/// When the size is none that a signature of RFC 9474 has.
pub fn keys(bits: usize) -> anyhow::Result<(String, String)> {
    ensure!([2_048, 3_072, 4_096].contains(&bits), "a key has 2048, 3072 or 4096 bits, not {bits}");
    let pair = blind_rsa_signatures::KeyPair::<Sha384, PSS, Randomized>::generate(&mut DefaultRng, bits)?;
    Ok((pair.sk.to_pem()?, pair.pk.to_pem()?))
}

/// What a voter keeps until the signature comes. Whoever has it can cast the ballot.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Blinded {
    /// The election.
    pub election: u32,
    /// What the registrar is to sign.
    pub blinded: String,
    token: String,
    randomizer: String,
    secret: String,
}

/// A token that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The token.
    pub token: String,
    /// What it was randomized with.
    pub randomizer: String,
    /// The signature over it.
    pub signature: String,
}

impl Blinded {
    /// A new token of an election, blinded.
    ///
    /// # Errors
    /// When the operating system gives no randomness, or the key is none of RFC 9474.
    pub fn new(election: u32, key: &Checking) -> anyhow::Result<Self> {
        let mut token = [0; TOKEN_BYTES];
        getrandom::fill(&mut token)?;
        let result = key.blind(&mut DefaultRng, message(election, &token))?;
        let randomizer = result.msg_randomizer.context("the signature is randomized")?;
        Ok(Self {
            election,
            blinded: hex(&result.blind_message),
            token: hex(&token),
            randomizer: hex(&randomizer.0),
            secret: hex(&result.secret),
        })
    }

    /// The token with its signature, when `signature` is one.
    ///
    /// # Errors
    /// When it is not.
    pub fn unblind(&self, key: &Checking, signature: &str) -> anyhow::Result<Signed> {
        let result = BlindingResult {
            blind_message: unhex(&self.blinded)?.into(),
            secret: unhex(&self.secret)?.into(),
            msg_randomizer: Some(MessageRandomizer(array(&self.randomizer)?)),
        };
        let signature = BlindSignature(unhex(signature)?);
        let signature = key.finalize(&signature, &result, message(self.election, &array(&self.token)?));
        let signature = signature.context("the registrar's signature is none of the blinded token")?;
        Ok(Signed { token: self.token.clone(), randomizer: self.randomizer.clone(), signature: hex(&signature) })
    }
}

impl Signed {
    /// Checks the signature; gives the token's nullifier.
    ///
    /// # Errors
    /// When it is no signature of the token for that election.
    pub fn check(&self, election: u32, key: &Checking) -> anyhow::Result<[u8; 32]> {
        let (token, randomizer) = (array(&self.token)?, MessageRandomizer(array(&self.randomizer)?));
        let signature = Signature(unhex(&self.signature)?);
        let checked = key.verify(&signature, Some(randomizer), message(election, &token));
        checked.context("the signature is none of this token")?;
        Ok(nullifier(election, &token))
    }
}

fn array(text: &str) -> anyhow::Result<[u8; TOKEN_BYTES]> {
    let bytes = unhex(text)?;
    let count = bytes.len();
    bytes.try_into().map_err(|_| anyhow::anyhow!("{count} bytes where {TOKEN_BYTES} are expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against a signature that another token, another election or another key passes with.
    #[test]
    fn a_signature_is_of_one_token_of_one_election() {
        let (secret, public) = keys(2_048).expect("a pair");
        let (secret, public) =
            (Signing::from_pem(&secret).expect("a key"), Checking::from_pem(&public).expect("a key"));
        let blinded = Blinded::new(7, &public).expect("a token");
        let signature = secret.blind_sign(unhex(&blinded.blinded).expect("bytes")).expect("a signature");
        let signed = blinded.unblind(&public, &hex(&signature)).expect("it is signed");
        signed.check(7, &public).expect("it is a signature");
        assert!(signed.check(8, &public).is_err(), "another election");
        let other = Signed { token: Blinded::new(7, &public).expect("a token").token, ..signed.clone() };
        assert!(other.check(7, &public).is_err(), "another token");
        assert!(Signed { randomizer: "00".repeat(31), ..signed.clone() }.check(7, &public).is_err(), "cut");
        assert!(Signed { signature: "é".into(), ..signed.clone() }.check(7, &public).is_err(), "no digits");
        let other = Checking::from_pem(&keys(2_048).expect("a pair").1).expect("a key");
        assert!(signed.check(7, &other).is_err(), "another key");
        assert!(blinded.unblind(&other, &hex(&signature)).is_err());
        assert!(keys(1_024).is_err(), "short");
    }
}
